/* cpp.cpp - the same interface from C++11 and later: a scope is an object, attributes are a
   parameter pack, structs go by reference.

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

bool checkout(inventory &stock, const char *item) {
    HOTEL_SCOPE(span, hotel_start_as("checkout", HOTEL_SERVER));
    try {
        stock.reserve(item, 2);
    } catch (const std::exception &error) {
        hotel_record_exception(&span, "std::out_of_range", error.what(), nullptr, nullptr, 0);
        hotel_set_status(&span, HOTEL_STATUS_ERROR, error.what());
        return false;
    }
    hotel_context order = hotel_context_hold(nullptr);
    std::thread writer(write_receipt, order);
    writer.join();
    hotel_context_release(&order);
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
    bool sold = checkout(stock, "lamp");
    bool refused = !checkout(stock, "unicorn"); // its trace shows why

    hotel_result result = hotel_shutdown(5000);
    if (result) std::fprintf(stderr, "cpp: spans not delivered: %s\n", hotel_result_text(result));
    return sold && refused && result == HOTEL_OK ? 0 : 1;
}
