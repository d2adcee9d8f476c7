/*
 * SPDX-License-Identifier: MIT
 *
 * host.c PLUGIN - loads and unloads a plugin that embeds the library: after a shutdown, in the
 * middle of an export, while a name is being looked up, at the end of the process.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <dlfcn.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>

#include "faults/server.h"

#include "plugin.h"
#include "tap.h"

static const char *path;
static server good, silent;
static char good_url[160], silent_url[160];

/* What the plugin asks for is found here: an answer that takes a while. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **out) {
    (void)name;
    (void)service;
    (void)hints;
    *out = NULL;
    server_sleep_ms(400);
    return EAI_AGAIN;
}

static void *load(const plugin **out) {
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (object == NULL) {
        note("%s", dlerror());
        abort();
    }
    *out = (const plugin *)dlsym(object, "plugin_table");
    if (*out == NULL) abort();
    return object;
}

static bool is_loaded(void) {
    void *object = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    if (object != NULL) (void)dlclose(object);
    return object != NULL;
}

/* A child that does nothing but leave: no fork handler of what is unloaded may be called. */
static bool fork_works(void) {
    int status = 1;
    pid_t pid;
    (void)fflush(stdout);
    pid = fork();
    if (pid == 0) _exit(0);
    return waitpid(pid, &status, 0) == pid && status == 0;
}

static void test_clean(void) {
    int i, delivered = 0, gone = 0;
    for (i = 0; i < 20; i++) {
        const plugin *p;
        void *object = load(&p);
        if (p->start(good_url, 5000) != 0) abort();
        p->make_spans(10);
        delivered += p->flush(5000) == 0 && p->accepted() == 10;
        if (p->stop(5000) != 0) note("stop failed");
        (void)dlclose(object);
        gone += !is_loaded();
    }
    is_int(delivered, 20, "a plugin that is loaded 20 times delivers each time");
    is_int(gone, 20, "and is unloaded after its shutdown");
    ok(fork_works(), "a fork calls nothing of it");
}

static void test_in_export(void) {
    const plugin *p, *again;
    void *object = load(&p);
    is_int(p->start(silent_url, 60000), 0, "a plugin exports to a silent server");
    p->make_spans(10);
    (void)p->flush(50);
    (void)dlclose(object);
    server_sleep_ms(200);
    ok(is_loaded(), "dlclose in the middle of an export: it stays while its thread runs");
    ok(fork_works(), "and a fork works");
    object = load(&again);
    ok(again == p, "loaded again it is the same");
    is_int(again->start(good_url, 5000), -4, "and runs still");
    is_int(again->stop(100), -1, "its shutdown is out of time");
    (void)dlclose(object);
    ok(!is_loaded(), "and then it can be unloaded");
    object = load(&again);
    is_int(again->start(good_url, 5000), 0, "loaded anew it starts anew");
    again->make_spans(3);
    is_int(again->flush(5000), 0, "and delivers");
    is_int((long long)again->accepted(), 3, "three spans");
    (void)again->stop(1000);
    (void)dlclose(object);
}

/* Shut down as it should be, but the C library looks for a name still. */
static void test_in_lookup(void) {
    const plugin *p;
    void *object = load(&p);
    int i;
    is_int(p->start("http://collector.example:4318", 60000), 0, "a plugin looks up a name");
    p->make_spans(1);
    (void)p->flush(50);
    is_int(p->stop(20), -1, "its shutdown does not wait for the answer");
    (void)dlclose(object);
    for (i = 0; i < 100 && is_loaded(); i++) server_sleep_ms(20);
    ok(!is_loaded(), "it is unloaded when the answer is there");
    ok(fork_works(), "and a fork works");
}

/* The process ends with the plugin in the middle of an export, unloaded or not. */
static void test_exit(void) {
    int i;
    for (i = 0; i < 2; i++) {
        int status = 1;
        long long began = server_now_ms();
        pid_t pid;
        (void)fflush(stdout);
        pid = server_fork(&silent);
        if (pid == 0) {
            const plugin *p;
            void *object = load(&p);
            (void)p->start(silent_url, 60000);
            p->make_spans(10);
            (void)p->flush(50);
            if (i == 1) (void)dlclose(object);
            _exit(p == NULL); /* sanitizers look for leaks in exit() */
        }
        (void)waitpid(pid, &status, 0);
        ok(status == 0 && server_now_ms() - began < 3000,
           "the process ends in the middle of an export%s (%#x)", i == 1 ? ", unloaded" : "",
           (unsigned)status);
    }
}

int main(int argc, char **argv) {
    static const server_step hang[] = {{.after = SERVER_HANG}};
    if (argc < 2) return 2;
    path = argv[1];
    if (!server_start(&good, SERVER_IPV4, NULL, 0)) abort();
    if (!server_start(&silent, SERVER_IPV4, hang, 1)) abort();
    (void)server_url(&good, "", good_url, sizeof good_url);
    (void)server_url(&silent, "", silent_url, sizeof silent_url);
    test_clean();
    test_in_export();
    test_in_lookup();
    test_exit();
    server_stop(&good);
    server_stop(&silent);
    is_int(good.num_bad, 0, "every request is right (%s)", good.problem);
    is_int(server_num_duplicates(&good), 0, "no span came twice");
    server_release(&good);
    server_release(&silent);
    return done_testing();
}
