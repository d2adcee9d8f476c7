/* durable_wait.c - a durable task that waits for one of two conditions, an approval or the end of
   its patience, and goes on. A thread plays the person who approves. The wait is a span under the
   task's, and when it is over the task is current as before.

   cc -I. examples/durable_wait.c -o build/examples/durable_wait -pthread &&
       build/examples/durable_wait */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

enum { PATIENCE_MS = 5000 };

static int approval[2]; // a pipe

static void *approve(void *unused) {
    (void)unused;
    (void)poll(NULL, 0, 30);
    return write(approval[1], "y", 1) == 1 ? approval : NULL;
}

/* Stands for the call of a Hatchet client: the engine wakes the task. */
static bool wait_for_approval(void) {
    hotel_span span = hotel_start_wait_for(&(hotel_wait){
        .signal_key = "approval",
        .num_conditions = &(int32_t){2},
    });
    struct pollfd line = {.fd = approval[0], .events = POLLIN};
    int ready = poll(&line, 1, PATIENCE_MS);
    if (ready < 0) {
        hotel_fail(&span, "the wait was interrupted");
        return false;
    }
    hotel_set_str(&span, "approval.outcome", ready > 0 ? "approved" : "timed out");
    hotel_succeed(&span);
    return ready > 0;
}

static void ship(void) {
    HOTEL_SCOPE(span, hotel_start("parcel.ship"));
    hotel_set_str(&span, "parcel.carrier", "bicycle");
}

int main(void) {
    hotel_init(&(hotel_config){
        .service_name = "durable-wait",
        .log_fn = hotel_log_to_stderr,
        .log_level = HOTEL_LOG_WARN,
    });
    hotel_task task = hotel_start_step_run(&(hotel_step_run){
        .workflow_name = "Order",
        .step_name = "ship-when-approved",
        .step_run_id = "8d9e2a1b-52d6-4f3c-b7de-0d9f0a0c4e55",
        .workflow_run_id = "8d9e2a1b-52d6-4f3c-b7de-0d9f0a0c4e55",
    });
    pthread_t person;
    bool asked = pipe(approval) == 0 && pthread_create(&person, NULL, approve, NULL) == 0;
    if (asked && wait_for_approval()) {
        ship();
        hotel_task_succeed(&task);
    } else {
        hotel_task_fail(&task, "nobody approved");
    }
    if (asked) (void)pthread_join(person, NULL);

    hotel_result result = hotel_shutdown(5000);
    if (result) fprintf(stderr, "durable_wait: %s\n", hotel_result_text(result));
    return result == HOTEL_OK ? 0 : 1;
}
