/* cpp.cpp - the same interface from C++11 and later: a scope is an object, attributes are a
   parameter pack, structs go by reference. A Hatchet task becomes an object too, and what its code
   throws fails it.

   c++ -I. examples/cpp.cpp -o build/examples/cpp -pthread && build/examples/cpp */
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <cstdio>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>

namespace {

class inventory {
public:
    inventory() {
        hotel_tracer_config scope = hotel_tracer_config();
        scope.name = "example.inventory";
        scope.version = "1.2.0";
        tracer = hotel_get_tracer(scope);
    }

    int reserve(const std::string &item, int count) {
        hotel_start_options options = hotel_start_options();
        options.tracer = tracer;
        options.kind = HOTEL_CLIENT;
        HOTEL_SCOPE(span, hotel_start_with("inventory.reserve", options));
        hotel_set(&span, hotel_strn("item", item.data(), item.size()), hotel_int("count", count));

        std::map<std::string, int>::iterator stock = shelf.find(item);
        if (stock == shelf.end()) throw std::out_of_range("no such item: " + item);
        hotel_add_event_with(&span, "reserved", hotel_int("left", stock->second - count));
        return stock->second -= count; // the span ends however this function is left
    }

private:
    hotel_tracer tracer;
    std::map<std::string, int> shelf = {{"lamp", 12}, {"chair", 4}};
};

void write_receipt(const hotel_context &order) {
    HOTEL_ATTACH(here, &order); // this thread carries on the order's trace
    HOTEL_SCOPE(span, hotel_start("receipt.write"));
    hotel_set(&span, hotel_str("format", "pdf"), hotel_double("vat", 0.19));
}

void checkout(inventory &stock, const char *item) {
    HOTEL_SCOPE(span, hotel_start("checkout"));
    stock.reserve(item, 2);
    hotel_context order = hotel_context_hold(nullptr);
    std::thread writer(write_receipt, order);
    writer.join();
    hotel_context_release(&order);
}

/* A run of a Hatchet task. Left without an outcome, it was cancelled. */
class task_run {
public:
    explicit task_run(const hotel_step_run &run) : task(hotel_start_step_run(run)) {}
    ~task_run() { hotel_task_cancel(&task); } // ignored if the task has ended
    task_run(const task_run &) = delete;
    task_run &operator=(const task_run &) = delete;

    void succeed() { hotel_task_succeed(&task); }
    void fail(const char *type, const std::exception &error) {
        hotel_task_fail_as(&task, type, error.what(), nullptr);
    }

private:
    hotel_task task;
};

bool run_task(inventory &stock, const char *item, const char *run_id) {
    hotel_step_run action = hotel_step_run(); // in C++20: {.workflow_name = "Shop", ...}
    action.workflow_name = "Shop";
    action.step_name = "checkout";
    action.step_run_id = run_id;
    action.workflow_run_id = run_id;
    task_run task(action);
    try {
        checkout(stock, item);
    } catch (const std::out_of_range &error) {
        task.fail("std::out_of_range", error);
        return false;
    } catch (const std::exception &error) {
        task.fail("std::exception", error);
        return false;
    }
    task.succeed();
    return true;
}

} // namespace

int main() {
    hotel_config config = hotel_config();
    config.service_name = "shop";
    config.log_fn = hotel_log_to_stderr;
    config.log_level = HOTEL_LOG_WARN;
    hotel_init(config);

    inventory stock;
    bool sold = run_task(stock, "lamp", "6f1d0c0a-3c55-4b0e-8f0d-1c7c8e4f2a01");
    bool refused = !run_task(stock, "unicorn", "6f1d0c0a-3c55-4b0e-8f0d-1c7c8e4f2a02");

    hotel_result result = hotel_shutdown(5000);
    if (result) std::fprintf(stderr, "cpp: spans not delivered: %s\n", hotel_result_text(result));
    return sold && refused && result == HOTEL_OK ? 0 : 1;
}
