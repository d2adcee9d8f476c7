/* fork_server.c - a pre-fork server: hotel_init once, before the children are made. Each child has
   its own memory, exporter and random stream, traces its requests under the span that the parent
   had open, and delivers what is its own before it ends.

   cc -I. examples/fork_server.c -o build/examples/fork_server -pthread &&
       build/examples/fork_server */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NUM_CHILDREN = 3 };

static void handle_request(int number) {
    HOTEL_SCOPE(request, hotel_start_as("request", HOTEL_SERVER)); // under the parent's span
    hotel_set(&request, hotel_int("request.number", number), hotel_int("process.pid", getpid()));
    {
        HOTEL_SCOPE(query, hotel_start_as("query", HOTEL_CLIENT));
        hotel_set_str(&query, "db.system.name", "sqlite");
    }
}

static int run_child(int number) {
    handle_request(number);
    hotel_result result = hotel_shutdown(5000);
    if (result) fprintf(stderr, "child %d: %s\n", number, hotel_result_text(result));
    return result == HOTEL_OK ? 0 : 1;
}

/* Returns how many children failed. */
static int serve(void) {
    HOTEL_SCOPE(span, hotel_start("serve"));
    int num_failed = 0;
    for (int i = 0; i < NUM_CHILDREN; i++) {
        pid_t pid = fork();
        if (pid == 0) _exit(run_child(i));
        if (pid < 0) num_failed++;
    }
    int status;
    while (wait(&status) > 0) {
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) num_failed++;
    }
    if (num_failed > 0) hotel_set_status(&span, HOTEL_STATUS_ERROR, "a child failed");
    return num_failed;
}

int main(void) {
    hotel_init(&(hotel_config){
        .service_name = "fork-server",
        .log_fn = hotel_log_to_stderr,
        .log_level = HOTEL_LOG_WARN,
    });
    int num_failed = serve();
    hotel_result result = hotel_shutdown(5000);
    if (result) fprintf(stderr, "fork_server: %s\n", hotel_result_text(result));
    return num_failed == 0 && result == HOTEL_OK ? 0 : 1;
}
