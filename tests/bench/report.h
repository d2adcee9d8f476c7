/*
 * SPDX-License-Identifier: MIT
 *
 * report.h - figures: medians of repetitions, a table for people, JSON lines for programs.
 */
#ifndef REPORT_H_INCLUDED
#define REPORT_H_INCLUDED

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_REPETITIONS = 99 };

typedef struct series {
    double values[MAX_REPETITIONS];
    int count;
} series;

/* What a figure must keep. */
typedef enum limit_kind {
    LIMIT_NONE,
    LIMIT_RATIO,   /* at most so many times the floor */
    LIMIT_AT_MOST, /* in the figure's unit */
    LIMIT_AT_LEAST
} limit_kind;

typedef struct figure {
    const char *name; /* for programs and --only */
    const char *text; /* for people */
    const char *form; /* polled, threaded or "" */
    const char *unit;
    limit_kind limit;
    double bound;
    series measured, floor;
    const char *flaw; /* why the figure does not count; NULL */
} figure;

typedef struct report {
    FILE *jsonl;
    const char *green, *red, *plain;
    int num_over, num_flawed;
} report;

static int compare_values(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void add_value(series *s, double value) {
    if (s->count < MAX_REPETITIONS) s->values[s->count++] = value;
}

/* 0 for an empty series. */
static double median(const series *s, double *least, double *most) {
    series sorted = *s;
    int n = sorted.count;
    *least = *most = 0;
    if (n == 0) return 0;
    qsort(sorted.values, (size_t)n, sizeof sorted.values[0], compare_values);
    *least = sorted.values[0];
    *most = sorted.values[n - 1];
    return (sorted.values[(n - 1) / 2] + sorted.values[n / 2]) / 2;
}

static void start_report(report *r, const char *jsonl_path) {
    bool colour = isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL;
    memset(r, 0, sizeof *r);
    r->green = colour ? "\033[32m" : "";
    r->red = colour ? "\033[31m" : "";
    r->plain = colour ? "\033[0m" : "";
    if (jsonl_path != NULL) r->jsonl = fopen(jsonl_path, "a");
    if (jsonl_path != NULL && r->jsonl == NULL) perror(jsonl_path);
}

/* Whole numbers stay whole; small ones keep three digits that mean something. */
static const char *number_text(double value, char out[32]) {
    int digits = value >= 100 || value == (double)(long)value ? 0 : value >= 10 ? 1 : 2;
    (void)snprintf(out, 32, "%.*f", digits, value);
    return out;
}

static bool keeps_limit(const figure *f, double measured, double ratio) {
    if (f->limit == LIMIT_RATIO) return ratio <= f->bound;
    if (f->limit == LIMIT_AT_MOST) return measured <= f->bound;
    return f->limit == LIMIT_NONE || measured >= f->bound;
}

static void write_json(FILE *out, const figure *f, const char *verdict) {
    double least, most, floor_least, floor_most;
    double measured = median(&f->measured, &least, &most);
    double floor = median(&f->floor, &floor_least, &floor_most);
    fprintf(out, "{\"name\":\"%s\",\"text\":\"%s\"", f->name, f->text);
    fprintf(out, ",\"form\":\"%s\",\"unit\":\"%s\"", f->form, f->unit);
    fprintf(out, ",\"median\":%g,\"min\":%g,\"max\":%g", measured, least, most);
    if (f->floor.count > 0) {
        fprintf(out, ",\"floor\":%g,\"floor_min\":%g,\"floor_max\":%g,\"ratio\":%g", floor,
                floor_least, floor_most, floor > 0 ? measured / floor : 0);
    }
    if (f->limit == LIMIT_RATIO) fprintf(out, ",\"budget_ratio\":%g", f->bound);
    if (f->limit == LIMIT_AT_MOST) fprintf(out, ",\"budget_max\":%g", f->bound);
    if (f->limit == LIMIT_AT_LEAST) fprintf(out, ",\"budget_min\":%g", f->bound);
    fprintf(out, ",\"verdict\":\"%s\",\"values\":[", verdict);
    for (int i = 0; i < f->measured.count; i++) {
        fprintf(out, "%s%g", i > 0 ? "," : "", f->measured.values[i]);
    }
    fprintf(out, "]}\n");
    (void)fflush(out);
}

static void print_heading(void) {
    printf("%-44s %-8s %10s  %-19s %10s %7s %12s\n", "", "", "median", "[min-max]", "floor",
           "ratio", "budget");
}

/* One line of the table, one line of JSON. */
static void print_figure(report *r, const figure *f) {
    char text[5][32], value[48], range[72];
    char floor_text[48] = "", ratio_text[32] = "", budget[48] = "";
    double least, most, floor_least, floor_most;
    double measured = median(&f->measured, &least, &most);
    double floor = median(&f->floor, &floor_least, &floor_most);
    double ratio = floor > 0 ? measured / floor : 0;
    const char *verdict = f->limit == LIMIT_NONE ? "" : "over";
    if (f->limit != LIMIT_NONE && keeps_limit(f, measured, ratio)) verdict = "PASS";
    if (f->flaw != NULL) verdict = f->flaw;

    (void)snprintf(value, sizeof value, "%s %s", number_text(measured, text[0]), f->unit);
    (void)snprintf(range, sizeof range, "[%s-%s]", number_text(least, text[1]),
                   number_text(most, text[2]));
    if (f->floor.count > 0) {
        (void)snprintf(floor_text, sizeof floor_text, "%s", number_text(floor, text[3]));
        (void)snprintf(ratio_text, sizeof ratio_text, "%.2f x", ratio);
    }
    if (f->limit != LIMIT_NONE) {
        (void)snprintf(budget, sizeof budget, "%s %s %s", f->limit == LIMIT_AT_LEAST ? ">=" : "<=",
                       number_text(f->bound, text[4]), f->limit == LIMIT_RATIO ? "x" : f->unit);
    }
    bool good = strcmp(verdict, "PASS") == 0;
    printf("%-44s %-8s %10s  %-19s %10s %7s %12s %s%s%s\n", f->text, f->form, value,
           f->measured.count > 1 ? range : "", floor_text, ratio_text, budget,
           good ? r->green : r->red, verdict, r->plain);
    (void)fflush(stdout);
    if (r->jsonl != NULL) write_json(r->jsonl, f, good ? "pass" : verdict);
    r->num_flawed += f->flaw != NULL;
    r->num_over += f->flaw == NULL && f->limit != LIMIT_NONE && !good;
}

static void finish_report(report *r) {
    if (r->jsonl != NULL) (void)fclose(r->jsonl);
    if (r->num_over > 0) printf("%d over budget\n", r->num_over);
    if (r->num_flawed > 0) printf("%d not valid\n", r->num_flawed);
}

/* Progress goes to standard error, and only if somebody is there to see it. */
static void show_progress(const char *text, int done, int total) {
    static int wide;
    if (!isatty(STDERR_FILENO)) return;
    if (text == NULL) {
        fprintf(stderr, "\r%*s\r", wide, "");
        return;
    }
    int size = fprintf(stderr, "\r[%d/%d] %s", done, total, text) - 1;
    if (size < wide) fprintf(stderr, "%*s", wide - size, "");
    wide = size;
    (void)fflush(stderr);
}

#endif
