/*
 * SPDX-License-Identifier: MIT
 *
 * fields.h - fields NAME=VALUE as the members of what the Hatchet layer takes. Include after the
 * implementation of hatchet_otel.h.
 */
#ifndef FIELDS_H_INCLUDED
#define FIELDS_H_INCLUDED

#include <stdlib.h>
#include <string.h>

/* The value of a field, NULL if there is none. */
static const char *field(char *const *fields, const char *name) {
    size_t size = strlen(name);
    for (; *fields != NULL; fields++) {
        if (strncmp(*fields, name, size) == 0 && (*fields)[size] == '=') return *fields + size + 1;
    }
    return NULL;
}

/* The number in a field; NULL if there is none. */
static const int32_t *number_field(char *const *fields, const char *name, int32_t *out) {
    const char *text = field(fields, name);
    if (text == NULL) return NULL;
    *out = (int32_t)strtol(text, NULL, 10);
    return out;
}

/* The task run; child_index is where its index is kept. */
static hotel_step_run step_run_of(char *const *fields, int32_t *child_index) {
    hotel_step_run run;
    memset(&run, 0, sizeof run);
    run.workflow_name = field(fields, "workflow_name");
    run.step_name = field(fields, "step_name");
    run.action_name = field(fields, "action_name");
    run.step_run_id = field(fields, "step_run_id");
    run.workflow_run_id = field(fields, "workflow_run_id");
    run.step_id = field(fields, "step_id");
    run.workflow_id = field(fields, "workflow_id");
    run.workflow_version_id = field(fields, "workflow_version_id");
    run.worker_id = field(fields, "worker_id");
    run.tenant_id = field(fields, "tenant_id");
    (void)number_field(fields, "retry_count", &run.retry_count);
    run.child_workflow_index = number_field(fields, "child_workflow_index", child_index);
    run.child_workflow_key = field(fields, "child_workflow_key");
    run.parent_workflow_run_id = field(fields, "parent_workflow_run_id");
    run.triggering_event_external_id = field(fields, "triggering_event_external_id");
    run.triggering_event_key = field(fields, "triggering_event_key");
    run.payload = field(fields, "payload");
    run.additional_metadata = field(fields, "additional_metadata");
    return run;
}

#endif
