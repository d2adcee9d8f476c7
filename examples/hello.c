/* hello.c - the smallest traced program: a span, a child of it, and a delivery that is checked.

   cc -I. examples/hello.c -o build/examples/hello -pthread && build/examples/hello */
#define HATCHET_OTEL_IMPLEMENTATION // in one file of a program
#include "hatchet_otel.h"

int main(void) {
    hotel_init(NULL); // the OTEL_* variables decide; spans go to localhost:4318 if they are silent
    {
        HOTEL_SCOPE(hello, hotel_start("hello"));
        HOTEL_SCOPE(world, hotel_start("world")); // a child: hello is current here
        hotel_set(&world, hotel_str("greeting", "hello, world"), hotel_int("planets", 8));
    } // both end here
    return hotel_shutdown(5000) == HOTEL_OK ? 0 : 1;
}
