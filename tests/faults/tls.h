/*
 * SPDX-License-Identifier: MIT
 *
 * tls.h - TLS in front of a server: certificates made by the test, and a front that ends TLS and
 * passes on what is in it to a loopback port, or misbehaves as told. For tests with OpenSSL.
 *
 *     identity ca = identity_make("Test CA", NULL, NULL, 0, 3600);
 *     identity leaf = identity_make("server", "DNS:localhost", &ca, -60, 3600);
 *     front f;
 *     front_start(&f, &leaf, port_of_a_server);
 *     ... change f's members, connect to f.port ...
 *     front_stop(&f);
 */
#ifndef TLS_H_INCLUDED
#define TLS_H_INCLUDED

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "server.h"

/* ---- Certificates --------------------------------------------------------------------------- */

/* A certificate and its key, also as PEM text and in files. */
typedef struct identity {
    X509 *certificate;
    EVP_PKEY *key;
    char certificate_pem[4096];
    char key_pem[4096];
    char certificate_file[128];
    char key_file[128];
} identity;

static char identity_folder[96];

SERVER_FN void identity_remove_folder(void) {
    char command[160];
    if (identity_folder[0] == '\0') return;
    (void)snprintf(command, sizeof command, "rm -rf '%s'", identity_folder);
    if (system(command) != 0) abort();
    identity_folder[0] = '\0';
}

/* Writes text to a file of that name in a folder of the test's own; returns the path. */
SERVER_FN const char *identity_write(const char *name, const char *text, size_t size, char *path,
                                     size_t capacity) {
    FILE *out;
    if (identity_folder[0] == '\0') {
        const char *base = getenv("TMPDIR");
        (void)snprintf(identity_folder, sizeof identity_folder, "%s/hotel-tls-XXXXXX",
                       base != NULL && strlen(base) < 64 ? base : "/tmp");
        if (mkdtemp(identity_folder) == NULL) abort();
    }
    (void)snprintf(path, capacity, "%s/%s", identity_folder, name);
    out = fopen(path, "wb");
    if (out == NULL || fwrite(text, 1, size, out) != size || fclose(out) != 0) abort();
    return path;
}

SERVER_FN EVP_PKEY *identity_key(void) {
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
    if (c == NULL || EVP_PKEY_keygen_init(c) != 1 ||
        EVP_PKEY_CTX_set_ec_paramgen_curve_nid(c, NID_X9_62_prime256v1) != 1 ||
        EVP_PKEY_CTX_set_ec_param_enc(c, OPENSSL_EC_NAMED_CURVE) != 1 ||
        EVP_PKEY_keygen(c, &key) != 1)
        abort();
    EVP_PKEY_CTX_free(c);
    return key;
}

SERVER_FN void identity_extend(X509 *certificate, const X509 *issuer, int nid, const char *value) {
    X509V3_CTX c;
    X509_EXTENSION *extension;
    X509V3_set_ctx(&c, (X509 *)(uintptr_t)issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &c, nid, (char *)(uintptr_t)value);
    if (extension == NULL || X509_add_ext(certificate, extension, -1) != 1) abort();
    X509_EXTENSION_free(extension);
}

SERVER_FN void identity_text(BIO *from, char *out, size_t capacity) {
    int size = BIO_read(from, out, (int)capacity - 1);
    if (size <= 0) abort();
    out[size] = '\0';
    BIO_free(from);
}

/* names: "DNS:a,IP:127.0.0.1", NULL: none. issuer NULL: it signs itself; a CA unless it has names.
   Valid from and to, in seconds from now. */
SERVER_FN identity identity_make(const char *common_name, const char *names,
                                 const identity *issuer, long from_s, long to_s) {
    static long serial;
    identity i;
    char name[64];
    X509_NAME *subject;
    BIO *text;
    memset(&i, 0, sizeof i);
    i.key = identity_key();
    i.certificate = X509_new();
    if (i.certificate == NULL || X509_set_version(i.certificate, 2) != 1) abort();
    (void)ASN1_INTEGER_set(X509_get_serialNumber(i.certificate), ++serial);
    (void)X509_gmtime_adj(X509_getm_notBefore(i.certificate), from_s);
    (void)X509_gmtime_adj(X509_getm_notAfter(i.certificate), to_s);
    subject = X509_NAME_new();
    if (X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                   (const unsigned char *)common_name, -1, -1, 0) != 1)
        abort();
    (void)X509_set_subject_name(i.certificate, subject);
    (void)X509_set_issuer_name(i.certificate, issuer != NULL
                                                  ? X509_get_subject_name(issuer->certificate)
                                                  : subject);
    X509_NAME_free(subject);
    (void)X509_set_pubkey(i.certificate, i.key);
    identity_extend(i.certificate, issuer != NULL ? issuer->certificate : i.certificate,
                    NID_basic_constraints,
                    issuer == NULL && names == NULL ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (names != NULL)
        identity_extend(i.certificate, i.certificate, NID_subject_alt_name, names);
    if (X509_sign(i.certificate, issuer != NULL ? issuer->key : i.key, EVP_sha256()) == 0) abort();
    text = BIO_new(BIO_s_mem());
    if (PEM_write_bio_X509(text, i.certificate) != 1) abort();
    identity_text(text, i.certificate_pem, sizeof i.certificate_pem);
    text = BIO_new(BIO_s_mem());
    if (PEM_write_bio_PrivateKey(text, i.key, NULL, NULL, 0, NULL, NULL) != 1) abort();
    identity_text(text, i.key_pem, sizeof i.key_pem);
    (void)snprintf(name, sizeof name, "%ld.crt", serial);
    (void)identity_write(name, i.certificate_pem, strlen(i.certificate_pem), i.certificate_file,
                         sizeof i.certificate_file);
    (void)snprintf(name, sizeof name, "%ld.key", serial);
    (void)identity_write(name, i.key_pem, strlen(i.key_pem), i.key_file, sizeof i.key_file);
    return i;
}

SERVER_FN void identity_free(identity *i) {
    X509_free(i->certificate);
    EVP_PKEY_free(i->key);
    memset(i, 0, sizeof *i);
}

/* ---- The front ------------------------------------------------------------------------------ */

typedef enum front_manner {
    FRONT_GOOD = 0,
    FRONT_SILENT,      /* takes connections, says nothing */
    FRONT_PLAIN,       /* answers in clear text */
    FRONT_SHUTS,       /* closes when something came */
    FRONT_PASSES       /* passes on bytes as they are: no TLS */
} front_manner;

typedef struct front {
    /* set by the test, before connections come */
    SSL_CTX *context;
    uint16_t backend;
    front_manner manner;
    const char *plain;      /* what FRONT_PLAIN says */
    const char *alpn;       /* "\x02h2": what it speaks; NULL: it knows nothing of ALPN */
    bool insists;           /* on one of these */
    int drip_ms;            /* between the bytes it sends in handshakes */
    size_t cut;             /* atomic: it ends behind so many bytes it sent; 0: never */
    bool reset;             /* ... with RST */
    bool rude;              /* no goodbye where the backend closes */
    bool updates;           /* new keys around each piece of a response */
    bool renegotiates;      /* before each response */
    bool idle_records;      /* key updates and tickets behind each response */
    /* atomic: what came */
    unsigned connections, handshakes, failures, resumed, goodbyes, certificates, pieces;
    /* under mutex: of the last handshake */
    pthread_mutex_t mutex;
    char sni[256];
    char spoken[16]; /* ALPN */
    char version[16];
    char subject[128]; /* of the client */
    char failure[128];
    /* its own */
    uint16_t port;
    int listener;
    int wake[2];
    pthread_t thread;
    unsigned num_threads; /* atomic: connections that are served */
    bool stopping;        /* atomic */
    bool begun;    /* atomic */
} front;

typedef struct front_connection {
    front *f;
    int fd, backend;
    SSL *ssl;
    BIO *in, *out;
    size_t sent;
    bool over;
} front_connection;

#define FRONT_COUNT(member) (void)__atomic_add_fetch(&(member), 1, __ATOMIC_SEQ_CST)
#define FRONT_GET(member) __atomic_load_n(&(member), __ATOMIC_SEQ_CST)

/* Sends what OpenSSL has to say. */
SERVER_FN void front_flush(front_connection *c, int drip_ms) {
    char bytes[16384];
    while (!c->over) {
        size_t most = drip_ms > 0 ? 1 : sizeof bytes, cut = FRONT_GET(c->f->cut);
        int n;
        if (cut > 0 && cut <= c->sent) c->over = true;
        if (cut > 0 && !c->over && cut - c->sent < most) most = cut - c->sent;
        if (c->over) return;
        n = BIO_read(c->out, bytes, (int)most);
        if (n > 0) {
            char *at = bytes;
            while (n > 0) {
                ssize_t m = send(c->fd, at, (size_t)n, MSG_NOSIGNAL);
                if (m <= 0) {
                    c->over = true;
                    return;
                }
                at += m, n -= (int)m, c->sent += (size_t)m;
            }
            if (drip_ms > 0) server_sleep_ms(drip_ms);
            if (FRONT_GET(c->f->stopping)) c->over = true;
        } else {
            return;
        }
    }
}

/* Waits for bytes of either side; false when the connection is over. */
SERVER_FN bool front_wait(front_connection *c, bool *from_client, bool *from_backend) {
    struct pollfd fds[3];
    fds[0].fd = c->fd, fds[0].events = POLLIN, fds[0].revents = 0;
    fds[1].fd = c->backend, fds[1].events = POLLIN, fds[1].revents = 0;
    fds[2].fd = c->f->wake[0], fds[2].events = POLLIN, fds[2].revents = 0;
    (void)poll(fds, 3, -1);
    *from_client = fds[0].revents != 0;
    *from_backend = c->backend >= 0 && fds[1].revents != 0;
    return !FRONT_GET(c->f->stopping);
}

SERVER_FN bool front_fill(front_connection *c) {
    char bytes[16384];
    ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);
    if (n <= 0) return false;
    return BIO_write(c->in, bytes, (int)n) == (int)n;
}

SERVER_FN bool front_send_backend(front_connection *c, const char *bytes, size_t size) {
    while (size > 0) {
        ssize_t n = send(c->backend, bytes, size, MSG_NOSIGNAL);
        if (n <= 0) return false;
        bytes += n, size -= (size_t)n;
    }
    return true;
}

SERVER_FN int front_choose(SSL *ssl, const unsigned char **out, unsigned char *size,
                           const unsigned char *in, unsigned in_size, void *user_data) {
    front *f = (front *)user_data;
    unsigned char *chosen = NULL;
    (void)ssl;
    if (f->alpn == NULL) return SSL_TLSEXT_ERR_NOACK;
    if (SSL_select_next_proto(&chosen, size, (const unsigned char *)f->alpn,
                              (unsigned)strlen(f->alpn), in, in_size) == OPENSSL_NPN_NEGOTIATED) {
        *out = chosen;
        return SSL_TLSEXT_ERR_OK;
    }
    return f->insists ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_NOACK;
}

SERVER_FN void front_note(front_connection *c) {
    front *f = c->f;
    const char *sni = SSL_get_servername(c->ssl, TLSEXT_NAMETYPE_host_name);
    const unsigned char *spoken = NULL;
    unsigned size = 0;
    X509 *peer = SSL_get_peer_certificate(c->ssl);
    FRONT_COUNT(f->handshakes);
    if (SSL_session_reused(c->ssl)) FRONT_COUNT(f->resumed);
    if (peer != NULL) FRONT_COUNT(f->certificates);
    (void)pthread_mutex_lock(&f->mutex);
    SSL_get0_alpn_selected(c->ssl, &spoken, &size);
    (void)snprintf(f->sni, sizeof f->sni, "%s", sni != NULL ? sni : "");
    (void)snprintf(f->spoken, sizeof f->spoken, "%.*s", (int)size, (const char *)spoken);
    (void)snprintf(f->version, sizeof f->version, "%s", SSL_get_version(c->ssl));
    f->subject[0] = '\0';
    if (peer != NULL)
        (void)X509_NAME_oneline(X509_get_subject_name(peer), f->subject, sizeof f->subject);
    (void)pthread_mutex_unlock(&f->mutex);
    X509_free(peer);
}

SERVER_FN bool front_handshake(front_connection *c) {
    bool client, backend;
    for (;;) {
        int n, error;
        ERR_clear_error();
        n = SSL_accept(c->ssl);
        error = SSL_get_error(c->ssl, n);
        if (n != 1 && error != SSL_ERROR_WANT_READ) {
            const char *why = ERR_reason_error_string(ERR_peek_error());
            FRONT_COUNT(c->f->failures);
            (void)pthread_mutex_lock(&c->f->mutex);
            (void)snprintf(c->f->failure, sizeof c->f->failure, "%s", why != NULL ? why : "");
            (void)pthread_mutex_unlock(&c->f->mutex);
            front_flush(c, 0);
            return false;
        }
        /* Counted before the client can know. */
        if (n == 1) front_note(c);
        front_flush(c, c->f->drip_ms);
        if (n == 1 || c->over) return !c->over;
        if (!front_wait(c, &client, &backend) || !front_fill(c)) return false;
    }
}

SERVER_FN void front_say(front_connection *c, const char *bytes, int size) {
    front *f = c->f;
    if (f->renegotiates && SSL_version(c->ssl) == TLS1_2_VERSION) {
        (void)SSL_renegotiate(c->ssl);
        (void)SSL_do_handshake(c->ssl);
    }
    if (f->updates && SSL_version(c->ssl) == TLS1_3_VERSION) {
        (void)SSL_key_update(c->ssl, SSL_KEY_UPDATE_REQUESTED);
        (void)SSL_do_handshake(c->ssl);
    }
    FRONT_COUNT(f->pieces);
    (void)SSL_write(c->ssl, bytes, size);
    front_flush(c, 0);
    if (f->idle_records && SSL_version(c->ssl) == TLS1_3_VERSION) {
        server_sleep_ms(20);
        (void)SSL_key_update(c->ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
        (void)SSL_do_handshake(c->ssl);
#if OPENSSL_VERSION_NUMBER >= 0x30000000L
        (void)SSL_new_session_ticket(c->ssl);
        (void)SSL_do_handshake(c->ssl);
#endif
        front_flush(c, 0);
    }
}

/* Between the two, until one closes. */
SERVER_FN void front_relay(front_connection *c) {
    char bytes[16384];
    bool client = false, backend = false;
    while (!c->over) {
        int n;
        while ((n = SSL_read(c->ssl, bytes, sizeof bytes)) > 0)
            if (!front_send_backend(c, bytes, (size_t)n)) break;
        if (n <= 0 && SSL_get_error(c->ssl, n) == SSL_ERROR_ZERO_RETURN) {
            FRONT_COUNT(c->f->goodbyes);
            return;
        }
        if (n <= 0 && SSL_get_error(c->ssl, n) != SSL_ERROR_WANT_READ) {
            const char *why = ERR_reason_error_string(ERR_peek_error());
            (void)pthread_mutex_lock(&c->f->mutex);
            (void)snprintf(c->f->failure, sizeof c->f->failure, "%s", why != NULL ? why : "");
            (void)pthread_mutex_unlock(&c->f->mutex);
            front_flush(c, 0);
            return;
        }
        front_flush(c, 0);
        if (!front_wait(c, &client, &backend)) return;
        if (client && !front_fill(c)) return;
        if (!backend) continue;
        n = (int)recv(c->backend, bytes, sizeof bytes, 0);
        if (n > 0) {
            front_say(c, bytes, n);
        } else {
            if (!c->f->rude) (void)SSL_shutdown(c->ssl);
            front_flush(c, 0);
            return;
        }
    }
}

/* Passes bytes on as they come. */
SERVER_FN void front_pass(front_connection *c) {
    char bytes[16384];
    bool client, backend;
    ssize_t n;
    while (front_wait(c, &client, &backend)) {
        if (client) {
            n = recv(c->fd, bytes, sizeof bytes, 0);
            if (n <= 0 || !front_send_backend(c, bytes, (size_t)n)) return;
        }
        if (backend) {
            n = recv(c->backend, bytes, sizeof bytes, 0);
            if (n <= 0 || send(c->fd, bytes, (size_t)n, MSG_NOSIGNAL) != n) return;
        }
    }
}

SERVER_FN int front_connect(uint16_t port) {
    struct sockaddr_in address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        (void)close(fd);
        return -1;
    }
    if (fd >= 0) (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    return fd;
}

/* The last bytes must not be lost to the RST that unread ones of the client would cause. */
SERVER_FN void front_end(front_connection *c) {
    char bytes[4096];
    struct pollfd p;
    struct linger hard;
    if (c->f->reset) {
        hard.l_onoff = 1, hard.l_linger = 0;
        (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    } else {
        (void)shutdown(c->fd, SHUT_WR);
        p.fd = c->fd, p.events = POLLIN;
        while (poll(&p, 1, 200) > 0 && recv(c->fd, bytes, sizeof bytes, 0) > 0)
            if (FRONT_GET(c->f->stopping)) break;
    }
    if (c->ssl != NULL) SSL_free(c->ssl);
    if (c->backend >= 0) (void)close(c->backend);
    (void)close(c->fd);
    free(c);
}

SERVER_FN void *front_serve(void *user_data) {
    front_connection *c = (front_connection *)user_data;
    front *f = c->f;
    front_manner manner = FRONT_GET(f->manner);
    bool client, backend;
    FRONT_COUNT(f->connections);
    if (manner == FRONT_GOOD) {
        c->ssl = SSL_new(f->context);
        c->in = BIO_new(BIO_s_mem());
        c->out = BIO_new(BIO_s_mem());
        if (c->ssl == NULL || c->in == NULL || c->out == NULL) abort();
        SSL_set_bio(c->ssl, c->in, c->out);
        if (front_handshake(c)) {
            c->backend = front_connect(f->backend);
            if (c->backend >= 0) front_relay(c);
        }
    } else if (manner == FRONT_PASSES) {
        c->backend = front_connect(f->backend);
        if (c->backend >= 0) front_pass(c);
    } else {
        if (manner == FRONT_SILENT)
            while (!FRONT_GET(f->stopping)) server_sleep_ms(5);
        else
            (void)front_wait(c, &client, &backend);
        if (manner == FRONT_PLAIN)
            (void)send(c->fd, f->plain, strlen(f->plain), MSG_NOSIGNAL);
    }
    front_end(c);
    (void)__atomic_sub_fetch(&f->num_threads, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

SERVER_FN void *front_main(void *user_data) {
    front *f = (front *)user_data;
    struct pollfd fds[2];
    __atomic_store_n(&f->begun, true, __ATOMIC_RELEASE);
    fds[0].fd = f->listener, fds[0].events = POLLIN;
    fds[1].fd = f->wake[0], fds[1].events = POLLIN;
    while (!FRONT_GET(f->stopping)) {
        front_connection *c;
        pthread_t thread;
        int fd;
        (void)poll(fds, 2, -1);
        fd = accept(f->listener, NULL, NULL);
        if (fd < 0) continue;
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
        (void)fcntl(fd, F_SETFL, 0);
        c = (front_connection *)calloc(1, sizeof *c);
        if (c == NULL) abort();
        c->f = f, c->fd = fd, c->backend = -1;
        FRONT_COUNT(f->num_threads);
        if (pthread_create(&thread, NULL, front_serve, c) != 0) abort();
        (void)pthread_detach(thread);
    }
    return NULL;
}

/* With that certificate, in front of a loopback port. */
SERVER_FN void front_start(front *f, const identity *who, uint16_t backend) {
    char path[8];
    sigset_t all, former;
    memset(f, 0, sizeof *f);
    f->backend = backend;
    f->plain = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    f->alpn = "\x08http/1.1\x02h2";
    f->context = SSL_CTX_new(TLS_server_method());
    if (f->context == NULL || SSL_CTX_use_certificate(f->context, who->certificate) != 1 ||
        SSL_CTX_use_PrivateKey(f->context, who->key) != 1)
        abort();
    (void)SSL_CTX_set_session_id_context(f->context, (const unsigned char *)"front", 5);
    SSL_CTX_set_alpn_select_cb(f->context, front_choose, f);
    f->listener = server_bind(SERVER_IPV4, &f->port, path, sizeof path);
    if (f->listener < 0 || listen(f->listener, 64) != 0 || pipe(f->wake) != 0) abort();
    (void)fcntl(f->listener, F_SETFL, O_NONBLOCK);
    (void)pthread_mutex_init(&f->mutex, NULL);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &former);
    if (pthread_create(&f->thread, NULL, front_main, f) != 0) abort();
    (void)pthread_sigmask(SIG_SETMASK, &former, NULL);
    while (!FRONT_GET(f->begun)) server_sleep_ms(1);
}

/* The client must show a certificate that ca has signed. */
SERVER_FN void front_demand(front *f, const identity *ca) {
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(f->context), ca->certificate) != 1) abort();
    SSL_CTX_set_verify(f->context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
}

SERVER_FN const char *front_url(const front *f, const char *host, char *out, size_t capacity) {
    (void)snprintf(out, capacity, "https://%s:%u", host, (unsigned)f->port);
    return out;
}

SERVER_FN void front_stop(front *f) {
    __atomic_store_n(&f->stopping, true, __ATOMIC_SEQ_CST);
    if (write(f->wake[1], "x", 1) != 1) abort();
    (void)pthread_join(f->thread, NULL);
    while (FRONT_GET(f->num_threads) > 0) server_sleep_ms(1);
    (void)close(f->listener);
    (void)close(f->wake[0]);
    (void)close(f->wake[1]);
    SSL_CTX_free(f->context);
    (void)pthread_mutex_destroy(&f->mutex);
}

#endif
