/* embedded.c - tracing on a small device: 16 KiB of memory in all, no thread, no environment, and
   bytes that leave through the device's own driver. The UART and the gateway behind it are played
   by a loopback connection to a collector.

   The 16 KiB, on a 64-bit machine: 10 KiB that hotel_init is given, in which there are 11 chunks
   of 256 bytes (two for scopes, nine for spans), a request of 1 KiB and its connection, the
   destination and the resource; 4 KiB of state that the library always has; 2 KiB for the
   thread, tables, and the device's own. Options keep the state small: one provider, contexts
   four deep.

   cc -I. examples/embedded.c -o build/examples/embedded -pthread && build/examples/embedded 4318 */
#define HATCHET_OTEL_CHUNK_BYTES 256
#define HATCHET_OTEL_MAX_PROVIDERS 1
#define HATCHET_OTEL_MAX_ATTACHED 4
#define HATCHET_OTEL_IMPLEMENTATION
#include "hatchet_otel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- The driver: what a board has instead of sockets ---------------------------------------- */

enum { UART_FIFO_BYTES = 64 };

static int uart = -1;

static bool uart_open(uint16_t port) {
    struct sockaddr_in gateway;
    memset(&gateway, 0, sizeof gateway);
    gateway.sin_family = AF_INET;
    gateway.sin_port = htons(port);
    gateway.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    uart = socket(AF_INET, SOCK_STREAM, 0);
    return uart >= 0 && connect(uart, (struct sockaddr *)&gateway, sizeof gateway) == 0;
}

static ptrdiff_t uart_write(const void *bytes, size_t size) {
    if (size > UART_FIFO_BYTES) size = UART_FIFO_BYTES;
    return send(uart, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static ptrdiff_t uart_read(void *bytes, size_t size) {
    return recv(uart, bytes, size, MSG_DONTWAIT);
}

/* ---- The transport: how hatchet_otel reaches the driver ------------------------------------- */

static void *line_open(const char *host, uint16_t port, void *user_data) {
    (void)host; // the gateway behind the line knows where spans go
    (void)port;
    return user_data;
}

static int line_connect(void *line) {
    return *(const int *)line >= 0 ? HOTEL_IO_DONE : HOTEL_IO_REFUSED;
}

static ptrdiff_t line_send(void *line, const void *bytes, size_t size) {
    (void)line;
    ptrdiff_t sent = uart_write(bytes, size);
    if (sent > 0) return sent;
    return errno == EAGAIN ? HOTEL_IO_WANT_WRITE : HOTEL_IO_REFUSED;
}

static ptrdiff_t line_receive(void *line, void *bytes, size_t size) {
    (void)line;
    ptrdiff_t received = uart_read(bytes, size);
    if (received > 0) return received;
    if (received == 0) return HOTEL_IO_CLOSED;
    return errno == EAGAIN ? HOTEL_IO_WANT_READ : HOTEL_IO_REFUSED;
}

static int line_descriptor(void *line) {
    (void)line;
    return -1; // nothing that poll(2) could wait for
}

static void line_close(void *line, bool inherited) {
    (void)line; // a wire stays where it is
    (void)inherited;
}

static const hotel_transport uart_transport = {
    .open_fn = line_open,
    .connect_fn = line_connect,
    .send_fn = line_send,
    .receive_fn = line_receive,
    .descriptor_fn = line_descriptor,
    .close_fn = line_close,
    .user_data = &uart,
};

/* ---- The application ------------------------------------------------------------------------ */

static hotel_result start_tracing(void) {
    static uint64_t memory[10 * 1024 / sizeof(uint64_t)]; // nothing is ever allocated
    const hotel_destination gateway = {
        .endpoint = "http://gateway:4318",
        .max_request_bytes = 1024,
        .transport = &uart_transport,
    };
    return hotel_init(&(hotel_config){
        .service_name = "thermometer",
        .destinations = &gateway,
        .num_destinations = 1,
        .memory = memory,
        .memory_bytes = sizeof memory,
        .no_threads = true,
        .ignore_environment = true,
        .log_fn = hotel_log_to_stderr,
        .log_level = HOTEL_LOG_WARN,
    });
}

static void measure(int number) {
    HOTEL_SCOPE(span, hotel_start("measure"));
    hotel_set(&span, hotel_int("sample", number), hotel_double("celsius", 20.5 + number));
}

int main(int argc, char **argv) {
    if (!uart_open((uint16_t)(argc > 1 ? atoi(argv[1]) : 4318))) {
        perror("embedded: no gateway on the line");
        return 1;
    }
    hotel_result result = start_tracing();
    if (result) fprintf(stderr, "embedded: %s\n", hotel_result_text(result));

    for (int i = 0; i < 5; i++) { // the device's main loop
        measure(i);
        (void)hotel_poll(0); // does what is due, returns at once
    }

    result = hotel_shutdown(5000);
    if (result) fprintf(stderr, "embedded: spans not delivered: %s\n", hotel_result_text(result));
    (void)close(uart);
    return result == HOTEL_OK ? 0 : 1;
}
