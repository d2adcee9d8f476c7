/*
 * SPDX-License-Identifier: MIT
 *
 * guard.h - memory that ends directly before a page which nobody may touch, so that a read or
 * write one byte too far stops the program, with or without a sanitizer.
 *
 *     const char *input = guard_copy(0, text, size);
 *     char *output = guard_room(1, capacity);
 *
 * The memory of a slot is valid until the slot is used again.
 */
#ifndef GUARD_H_INCLUDED
#define GUARD_H_INCLUDED

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if !defined(MAP_ANONYMOUS)
#define MAP_ANONYMOUS MAP_ANON
#endif

enum { GUARD_SLOTS = 4, GUARD_MAX_BYTES = 1 << 18 };

/* `size` bytes, filled with 0xA5, up to the forbidden page. */
__attribute__((unused)) static char *guard_room(int slot, size_t size) {
    static char *slots[GUARD_SLOTS];
    if (slots[slot] == NULL) {
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        void *memory = mmap(NULL, GUARD_MAX_BYTES + page, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED ||
            mprotect((char *)memory + GUARD_MAX_BYTES, page, PROT_NONE) != 0) {
            perror("guard.h: no memory");
            abort();
        }
        slots[slot] = (char *)memory;
    }
    if (size > GUARD_MAX_BYTES) abort();
    memset(slots[slot] + GUARD_MAX_BYTES - size, 0xA5, size);
    return slots[slot] + GUARD_MAX_BYTES - size;
}

__attribute__((unused)) static char *guard_copy(int slot, const void *bytes, size_t size) {
    char *copy = guard_room(slot, size);
    if (size > 0) memcpy(copy, bytes, size);
    return copy;
}

#endif
