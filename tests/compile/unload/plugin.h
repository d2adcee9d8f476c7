/*
 * SPDX-License-Identifier: MIT
 *
 * plugin.h - what plugin.c offers under the name plugin_table.
 */
#ifndef PLUGIN_H_INCLUDED
#define PLUGIN_H_INCLUDED

/* Results are those of the library. */
typedef struct plugin {
    int (*start)(const char *endpoint, unsigned timeout_ms);
    void (*make_spans)(unsigned count);
    int (*flush)(unsigned timeout_ms);
    int (*stop)(unsigned timeout_ms); /* shutdown and release */
    unsigned long long (*accepted)(void);
} plugin;

extern const plugin plugin_table;

#endif
