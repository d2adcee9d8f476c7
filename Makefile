# SPDX-License-Identifier: MIT
#
# hatchet_otel.h needs no build. This file builds what stands around it: the command, the examples
# and the tests. GNU make; `make help` lists the targets. Everything generated goes to build/.

CFLAGS       ?= -O2 -g
CXXFLAGS     ?= $(CFLAGS)
PREFIX       ?= /usr/local
FUZZ_CC      ?= clang
FUZZ_SECONDS ?= 60
WERROR       ?=
WARNINGS := -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Wcast-qual

B        := build
HEADER   := hatchet_otel.h
CXX_HERE := $(shell command -v $(firstword $(CXX)) 2>/dev/null)
EXAMPLES := $(patsubst %.c,$(B)/%,$(wildcard examples/*.c)) \
            $(if $(CXX_HERE),$(patsubst %.cpp,$(B)/%,$(wildcard examples/*.cpp)))

# Every program is made from one source file by one command; $(1) is what is special about it.
Q      = $(if $(V),,@)
common = $(WARNINGS) $(WERROR) -I. $(CPPFLAGS)
output = -pthread -MMD -MP -MT $@ -MF $@.d -o $@ $< $(LDFLAGS) $(LDLIBS)
start  = $(if $(V),,@printf '  %-4s %s\n' $(1) $@ &&) mkdir -p $(@D)
proto  = -Wstrict-prototypes -Wmissing-prototypes
cc     = $(CC) -std=gnu99 $(common) $(proto) $(CFLAGS) $(1) $(output)
cxx    = $(CXX) -std=c++11 $(common) $(CXXFLAGS) $(1) $(output)

.DELETE_ON_ERROR:
.PHONY: all tools examples demo test programs conformance lint interop bench fuzz install clean help

all: tools examples                     ## the command and the examples (default)
tools: $(B)/hatchet-otel                ## build/hatchet-otel
examples: $(EXAMPLES)                   ## build/examples/*

$(B)/hatchet-otel: tools/hatchet-otel.c
	$(call start,CC)
	$(Q)$(call cc,-DTOOL_VERSION='"$(shell tools/version.sh)"')

$(B)/examples/%: examples/%.c
	$(call start,CC)
	$(Q)$(call cc)

$(B)/examples/%: examples/%.cpp
	$(call start,CXX)
	$(Q)$(call cxx)

demo: all                               ## two programs, one trace, printed as a tree
	@tools/demo.sh

# Programs that scripts make use of.
programs_of = $(patsubst tests/%.c,$(B)/%,$(wildcard tests/$(1)/*.c))

$(B)/%: tests/%.c
	$(call start,CC)
	$(Q)$(call cc,-Itests)

# ---- test --------------------------------------------------------------------------------------
#
# A test is a program that speaks TAP: a source file, built plainly and again for each sanitizer
# that works here; a fuzz target with its corpus; or a script. `make test TESTS=unit/test_x` takes
# only some of them, by path under tests/ (% stands for anything).

TESTS  ?=
BUILDS ?= plain asan tsan
asan    = -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
tsan    = -O1 -fno-omit-frame-pointer -fsanitize=thread

wanted   = $(foreach t,$(TESTS),$(addprefix tests/$(t),.c .cpp .sh))
pick     = $(if $(TESTS),$(filter $(wanted),$(1)),$(1))
folders := tests/unit tests/conformance tests/faults
sources := $(call pick,$(wildcard $(folders:=/*.c) $(folders:=/*.cpp)))
targets := $(filter-out tests/fuzz/replay.c,$(wildcard tests/fuzz/*.c))
scripts := $(call pick,$(filter-out %/lib.sh,$(wildcard tests/tool/*.sh tests/examples/*.sh \
             tests/docs/*.sh tests/compile/*.sh)))

# Only `make test` needs to know which builds work here; finding out takes a moment.
ifneq ($(filter test programs conformance,$(MAKECMDGOALS)),)
works  = $(shell mkdir -p $(B) && echo 'int main(void) { return 0; }' | \
           $(CC) $($(1)) -pthread -x c -o $(B)/works - 2>&1 && $(B)/works 2>&1 && echo yes)
builds := $(filter plain,$(BUILDS)) \
          $(foreach b,$(filter-out plain,$(BUILDS)),$(if $(filter yes,$(call works,$(b))),$(b)))
skips  := $(foreach b,$(filter-out $(builds),$(BUILDS)),\
            --skip "$(b) build: $(CC) $($(b)) does not work here")
ifeq ($(CXX_HERE),)
skips   += $(foreach s,$(filter %.cpp,$(sources)),--skip "$(s): no C++ compiler found")
sources := $(filter-out %.cpp,$(sources))
endif
endif

replays  := $(call pick,$(targets))
programs := $(foreach b,$(builds),$(patsubst tests/%,$(B)/$(b)/%,$(basename $(sources)))) \
            $(foreach b,$(filter-out tsan,$(builds)),$(patsubst tests/%.c,$(B)/$(b)/%,$(replays)))
scripts  := $(if $(TESTS),,tools/check_header.sh) $(scripts)
jobs      = $(or $(patsubst -j%,%,$(filter -j%,$(MAKEFLAGS))),1)

test: programs $(if $(strip $(scripts)),all $(call programs_of,tool)) ## all that can be tested here
	@tests/run.sh --jobs $(jobs) $(skips) $(programs) $(scripts)

programs: $(programs)

proofs := $(patsubst tests/%,$(B)/plain/%,$(basename $(sources)))
conformance: $(proofs)                  ## docs/conformance.md: which rules the tests prove
	@tools/conformance.sh $(proofs)

# The tests of gzip need zlib; they say so where there is none.
gzip_tests = $(foreach b,$(BUILDS),$(B)/$(b)/faults/test_gzip)
has_zlib   = $(shell mkdir -p $(B) && echo 'int main(void) { return zlibVersion() == 0; }' | \
               $(CC) -include zlib.h -x c -o $(B)/works - -lz 2>&1 && echo yes)
ifeq ($(if $(filter %/test_gzip,$(programs)),$(has_zlib)),yes)
$(gzip_tests): CPPFLAGS += -DTESTS_HAVE_ZLIB
$(gzip_tests): LDLIBS += -lz
endif

define test_rules
$(B)/$(1)/%: tests/%.c
	$$(call start,CC)
	$$(Q)$$(call cc,-Itests $$($(1)))

$(B)/$(1)/%: tests/%.cpp
	$$(call start,CXX)
	$$(Q)$$(call cxx,-Itests $$($(1)))

$(B)/$(1)/fuzz/%: tests/fuzz/replay.c tests/fuzz/%.c
	$$(call start,CC)
	$$(Q)$$(call cc,-Itests $$($(1)) -DFUZZ_TARGET='"$$*.c"')
endef
$(foreach b,$(BUILDS),$(eval $(call test_rules,$(b))))

# ---- other targets -------------------------------------------------------------------------------

lint:                                   ## checks of the header's form
	@tools/check_header.sh

interop: all $(call programs_of,interop) ## against software that is not ours
	@tests/interop/run.sh

bench: $(call programs_of,bench)        ## measured figures beside their floors (BENCH_ARGS=--quick)
	@tests/bench/run.sh $(BENCH_ARGS)

$(B)/fuzz/%: tests/fuzz/%.c
	$(call start,FUZZ)
	$(if $(shell command -v $(CC) 2>/dev/null),,$(error make fuzz needs clang))
	$(Q)$(call cc,-Itests $(asan) -fsanitize=fuzzer)

fuzz: CC = $(FUZZ_CC)
fuzz: $(targets:tests/%.c=$(B)/%)       ## libFuzzer, FUZZ_SECONDS for each target
	@for target in $(patsubst tests/fuzz/%.c,%,$(targets)); do \
	    mkdir -p $(B)/fuzz/corpus/$$target; \
	    $(B)/fuzz/$$target -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 \
	        -artifact_prefix=$(B)/fuzz/$$target- $(B)/fuzz/corpus/$$target || exit 1; \
	done

install: tools                          ## header, command and pkg-config file (PREFIX, DESTDIR)
	install -d $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/pkgconfig
	install -m 644 $(HEADER) $(DESTDIR)$(PREFIX)/include/
	install -m 755 $(B)/hatchet-otel $(DESTDIR)$(PREFIX)/bin/
	printf '%s\n' 'prefix=$(PREFIX)' 'includedir=$${prefix}/include' '' 'Name: hatchet_otel' \
	    'Description: OpenTelemetry tracing for C and C++ in one header' \
	    'Version: $(shell tools/version.sh)' 'Cflags: -I$${includedir}' 'Libs: -pthread' \
	    > $(DESTDIR)$(PREFIX)/share/pkgconfig/hatchet_otel.pc

clean:                                  ## removes build/
	rm -rf $(B)

help:                                   ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1 /p' Makefile | while read -r target what; do \
	    printf '  make %-11s %s\n' "$$target" "$$what"; done
	@echo 'Variables: CC CFLAGS CXX LDFLAGS PREFIX DESTDIR, V=1 (show commands), WERROR=-Werror,'
	@echo 'TESTS=unit/test_x (some tests), BUILDS="plain asan tsan", FUZZ_SECONDS, NO_COLOR'

-include $(wildcard $(B)/*.d $(B)/*/*.d $(B)/*/*/*.d)
