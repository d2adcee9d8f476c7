# SPDX-License-Identifier: MIT
#
# hatchet_otel.h needs no build. This file builds what stands around it: the command, the examples
# and the tests. GNU make; `make help` lists the targets. Everything generated goes to build/.

CFLAGS       ?= -O2 -g
CXXFLAGS     ?= $(CFLAGS)
PREFIX       ?= /usr/local
FUZZ_CC      ?= clang
FUZZ_SECONDS ?= 60
FUZZ_RUNS    ?=
SOAK_SECONDS ?= 600
SOAK_RATE    ?= 50000
WERROR       ?=
WARNINGS := -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wundef -Wcast-qual

B        := build
HEADER   := hatchet_otel.h
CXX_HERE := $(shell command -v $(firstword $(CXX)) 2>/dev/null)
EXAMPLES := $(patsubst %.c,$(B)/%,$(wildcard examples/*.c)) $(B)/examples/pipeline.so \
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
.PHONY: all tools examples demo test programs machines coverage conformance lint interop bench
.PHONY: interop-full comparison soak fuzz install clean help

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

$(B)/examples/%.so: examples/python_extension/%.c
	$(call start,CC)
	$(Q)$(call cc,-shared -fPIC)

demo: all                               ## two programs, one trace, printed as a tree
	@tools/demo.sh

# Programs that scripts make use of.
programs_of = $(patsubst tests/%.c,$(B)/%,$(wildcard tests/$(1)/*.c))

$(B)/%: tests/%.c
	$(call start,CC)
	$(Q)$(call cc,-Itests)

# Libraries that programs in other languages load.
libraries := $(patsubst tests/interop/native/%.c,$(B)/interop/%.so,\
               $(wildcard tests/interop/native/*.c))
$(B)/interop/%.so: tests/interop/native/%.c
	$(call start,CC)
	$(Q)$(call cc,-Itests -fPIC -shared)

# ---- test --------------------------------------------------------------------------------------
#
# A test is a program that speaks TAP: a source file, built plainly and again for each sanitizer
# that works here; a fuzz target with its corpus; or a script. `make test TESTS=unit/test_x` takes
# only some of them, by path under tests/ (% stands for anything).

TESTS  ?=
BUILDS ?= plain asan tsan
# Private copies, as below under MACHINES, with line numbers: warnings are for the plain build.
asan    = $(watched) -fsanitize=address,undefined -fno-sanitize-recover=all
tsan    = $(watched) -fsanitize=thread
watched = -DHATCHET_OTEL_STATIC= -O1 -g1 -w -fno-omit-frame-pointer

coverage    = -O0 --coverage
coverage_cc = gcc

# The builds of `make machines`. Beside its flags a build may have NAME_cc, its compiler; NAME_run,
# what runs its programs; NAME_from, the packages that bring both. All are private copies, of which
# the compiler leaves out what a test does not use: that saves most of the time. Warnings are for
# the plain build and tests/compile.
MACHINES ?= s390x armhf aarch64 i386 musl lto small clang c++

s390x        = $(static)
s390x_cc     = s390x-linux-gnu-gcc
s390x_run    = qemu-s390x
s390x_from   = gcc-s390x-linux-gnu libc6-dev-s390x-cross qemu-user
armhf        = $(static) $(traps)
armhf_cc     = arm-linux-gnueabihf-gcc
armhf_run    = qemu-arm
armhf_from   = gcc-arm-linux-gnueabihf libc6-dev-armhf-cross qemu-user
aarch64      = $(static)
aarch64_cc   = aarch64-linux-gnu-gcc
aarch64_run  = qemu-aarch64
aarch64_from = gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
i386         = $(static)
i386_cc      = i686-linux-gnu-gcc
i386_from    = gcc-i686-linux-gnu libc6-dev-i386-cross
musl         = $(private) -O1 -static
musl_cc      = musl-gcc
musl_from    = musl-tools
lto          = $(private) -O3 -flto=auto
small        = $(private) -Os
clang        = $(private) -O2
clang_cc     = clang
clang_from   = clang
c++          = $(private) -O1 -x c++
c++_cc       = $(CXX)
c++_from     = g++
# Of a static program that looks names up, the linker says that it is not so static.
static       = $(private) -O1 -static -Wl,--no-warnings
private      = -DHATCHET_OTEL_STATIC= -g0 -w
# Emulators forgive what is undefined, misaligned access above all: a trap does not.
traps        = -fsanitize=undefined -fsanitize-undefined-trap-on-error

wanted   = $(foreach t,$(TESTS),$(addprefix tests/$(t),.c .cpp .sh))
pick     = $(if $(TESTS),$(filter $(wanted),$(1)),$(1))
folders := tests/unit tests/conformance tests/faults
sources := $(call pick,$(wildcard $(folders:=/*.c) $(folders:=/*.cpp)))
targets := $(filter-out tests/fuzz/replay.c,$(wildcard tests/fuzz/*.c))
scripts := $(call pick,$(filter-out %/lib.sh,$(wildcard tests/tool/*.sh tests/examples/*.sh \
             tests/docs/*.sh tests/compile/*.sh)))

# Only `make test` needs to know which builds work here; finding out takes a moment.
ifneq ($(filter test programs covered conformance,$(MAKECMDGOALS)),)
works  = $(shell mkdir -p $(B) && echo 'int main(void) { return 0; }' | \
           $(or $($(1)_cc),$(CC)) -x c $($(1)) -pthread -o $(B)/works - 2>&1 && \
           $($(1)_run) $(B)/works 2>&1 && echo yes)
builds := $(filter plain,$(BUILDS)) \
          $(foreach b,$(filter-out plain,$(BUILDS)),$(if $(filter yes,$(call works,$(b))),$(b)))
skips  := $(foreach b,$(filter-out $(builds),$(BUILDS)),\
            --skip "$(b) build: $(or $($(b)_cc),$(CC)) $($(b)) does not work here$(if \
              $($(b)_from), (packages $($(b)_from)))")
unders := $(foreach b,$(builds),$(if $($(b)_run),--under $(B)/$(b)/ $($(b)_run)))
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
	@tests/run.sh --jobs $(jobs) $(unders) $(skips) $(programs) $(scripts)

programs: $(programs)

machines:                               ## tests for other processors, C libraries and compilers
	@+$(MAKE) --no-print-directory test BUILDS="$(MACHINES)" \
	    TESTS="$(or $(TESTS),unit/% conformance/%)"

# The other tests of faults take minutes and no branch more.
coverage:                               ## branches of protocol and encoding that the tests take
	@+$(MAKE) --no-print-directory covered BUILDS=coverage \
	    TESTS="unit/% conformance/% fuzz/% faults/test_values"
covered: programs
	@tests/coverage/run.sh $(programs)

proofs := $(patsubst tests/%,$(B)/plain/%,$(basename $(sources)))
conformance: $(proofs)                  ## docs/conformance.md: which rules the tests prove
	@tools/conformance.sh $(proofs)

# Tests of gzip need zlib, those of TLS OpenSSL; they say so where there is none.
zlib        = int main(void) { return zlibVersion() == 0; }
zlib_from   = -include zlib.h
zlib_with   = -lz
zlib_there  = -DTESTS_HAVE_ZLIB
openssl       = int main(void) { return OPENSSL_init_ssl(0, NULL) != 1; }
openssl_from  = -include openssl/ssl.h
openssl_with  = -lssl -lcrypto
openssl_there = -DTESTS_HAVE_OPENSSL
has = $(shell mkdir -p $(B) && echo '$($(2))' | $(or $($(1)_cc),$(CC)) $(CPPFLAGS) $($(2)_from) \
        -x c $($(1)) -o $(B)/works - $(LDFLAGS) $($(2)_with) 2>&1 && echo yes)
use = $(if $(filter yes,$(call has,$(1),$(2))),\
        $(eval $(3): CPPFLAGS += $($(2)_there))$(eval $(3): LDLIBS += $($(2)_with)))
packed = $(addprefix $(B)/$(1)/faults/,test_gzip test_grpc_settings)
$(foreach b,$(builds),$(foreach t,$(filter $(call packed,$(b)),$(programs)),\
    $(call use,$(b),zlib,$(t))))
$(foreach b,$(builds),$(foreach t,$(filter $(B)/$(b)/faults/test_tls,$(programs)),\
    $(call use,$(b),openssl,$(t))))
$(if $(filter interop% comparison,$(MAKECMDGOALS)),$(call use,plain,zlib,$(B)/interop/deliver)\
    $(call use,plain,openssl,$(B)/interop/deliver $(B)/interop/random_spans))
$(if $(filter bench,$(MAKECMDGOALS)),$(call use,plain,openssl,$(B)/bench/bench))

define test_rules
$(if $($(1)_cc),$(B)/$(1)/%: override CC = $($(1)_cc))
$(B)/$(1)/%: tests/%.c
	$$(call start,CC)
	$$(Q)$$(call $(if $(filter c++,$(1)),cxx,cc),-Itests $$($(1)))

$(B)/$(1)/%: tests/%.cpp
	$$(call start,CXX)
	$$(Q)$$(call cxx,-Itests $$($(1)))

$(B)/$(1)/fuzz/%: tests/fuzz/replay.c tests/fuzz/%.c
	$$(call start,CC)
	$$(Q)$$(call cc,-Itests $$($(1)) -DFUZZ_TARGET='"$$*.c"' -DFUZZ_NAME='"$$*"')
endef
$(foreach b,$(BUILDS),$(eval $(call test_rules,$(b))))

# ---- other targets -------------------------------------------------------------------------------

lint:                                   ## checks of the header's form
	@tools/check_header.sh

interop: all $(call programs_of,interop) $(libraries) ## against software that is not ours
	@tests/interop/run.sh

interop-full: all $(call programs_of,interop) $(libraries) ## the same with 100,000 spans to each gRPC server
	@INTEROP_FULL=1 INTEROP_GRPC_SPANS=100000 tests/interop/run.sh

comparison: all $(call programs_of,interop) ## docs/hatchet-comparison.md: beside Hatchet's SDKs
	@INTEROP_RENEW=1 tests/interop/run.sh sdks

bench: $(call programs_of,bench)        ## measured figures beside their floors (BENCH_ARGS=--quick)
	@tests/bench/run.sh $(BENCH_ARGS)

soak: $(call programs_of,soak)          ## ten minutes of load on a failing server (SOAK_SECONDS)
	@$(B)/soak/soak $(SOAK_SECONDS) $(SOAK_RATE)

$(B)/fuzz/%: tests/fuzz/%.c
	$(call start,FUZZ)
	$(if $(shell command -v $(CC) 2>/dev/null),,$(error make fuzz needs clang))
	$(Q)$(call cc,-Itests $(asan) -fsanitize=fuzzer -DFUZZ_NAME='"$*"')

fuzz: CC = $(FUZZ_CC)
fuzz: $(replays:tests/%.c=$(B)/%)       ## libFuzzer, FUZZ_SECONDS or FUZZ_RUNS for each target
	@FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ_RUNS=$(FUZZ_RUNS) tests/fuzz/run.sh $^

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
	@sed -n 's/^\([a-z-]*\):.*## /\1 /p' Makefile | while read -r target what; do \
	    printf '  make %-12s %s\n' "$$target" "$$what"; done
	@echo 'Variables: CC CFLAGS CXX LDFLAGS PREFIX DESTDIR, V=1 (show commands), WERROR=-Werror,'
	@echo 'TESTS=unit/test_x (some tests), BUILDS="plain asan tsan", MACHINES, NO_COLOR,'
	@echo 'FUZZ_SECONDS, FUZZ_RUNS (instead), SOAK_SECONDS, SOAK_RATE (spans a second)'

-include $(wildcard $(B)/*.d $(B)/*/*.d $(B)/*/*/*.d)
