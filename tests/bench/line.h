/*
 * SPDX-License-Identifier: MIT
 *
 * line.h - a connection to the sink, in clear text or with TLS, if the bench is built with OpenSSL.
 */
#ifndef LINE_H_INCLUDED
#define LINE_H_INCLUDED

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(HATCHET_OTEL_OPENSSL)
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#endif

enum { LINE_BUFFER_BYTES = 8 * 1024 * 1024 };

typedef struct sink_line {
    int fd;
    void *tls;    /* NULL: clear text */
    char *buffer; /* LINE_BUFFER_BYTES */
    size_t size;  /* of what it holds */
} sink_line;

#if defined(HATCHET_OTEL_OPENSSL)

/* A self-signed certificate for 127.0.0.1; clients trust its text. */
typedef struct line_identity {
    SSL_CTX *context;
    char pem[2048];
} line_identity;

static EVP_PKEY *make_key(void) {
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
    bool made = c != NULL && EVP_PKEY_keygen_init(c) > 0 &&
                EVP_PKEY_CTX_set_ec_paramgen_curve_nid(c, NID_X9_62_prime256v1) > 0 &&
                EVP_PKEY_keygen(c, &key) > 0;
    EVP_PKEY_CTX_free(c);
    return made ? key : NULL;
}

static bool add_extension(X509 *certificate, int nid, const char *value) {
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    bool added = e != NULL && X509_add_ext(certificate, e, -1) > 0;
    X509_EXTENSION_free(e);
    return added;
}

static bool sign_certificate(X509 *certificate, EVP_PKEY *key) {
    X509_NAME *name = X509_get_subject_name(certificate);
    return X509_set_version(certificate, 2) > 0 &&
           ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) > 0 &&
           X509_gmtime_adj(X509_getm_notBefore(certificate), -60) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(certificate), 24 * 3600) != NULL &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"bench", -1,
                                      -1, 0) > 0 &&
           X509_set_issuer_name(certificate, name) > 0 && X509_set_pubkey(certificate, key) > 0 &&
           add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE") &&
           add_extension(certificate, NID_subject_alt_name, "IP:127.0.0.1") &&
           X509_sign(certificate, key, EVP_sha256()) > 0;
}

static bool write_pem(X509 *certificate, char *out, size_t capacity) {
    BIO *text = BIO_new(BIO_s_mem());
    int size = -1;
    if (text != NULL && PEM_write_bio_X509(text, certificate) > 0) {
        size = BIO_read(text, out, (int)capacity - 1);
    }
    if (size >= 0) out[size] = '\0';
    BIO_free(text);
    return size > 0;
}

/* The client's first choice among what this server speaks. */
static int choose_protocol(SSL *tls, const unsigned char **out, unsigned char *out_size,
                           const unsigned char *offered, unsigned offered_size, void *unused) {
    static const unsigned char spoken[] = "\x02" "h2" "\x08" "http/1.1";
    unsigned char *chosen = NULL;
    (void)tls;
    (void)unused;
    if (SSL_select_next_proto(&chosen, out_size, offered, offered_size, spoken,
                              sizeof spoken - 1) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static bool make_identity(line_identity *id) {
    EVP_PKEY *key = make_key();
    X509 *certificate = X509_new();
    id->context = SSL_CTX_new(TLS_server_method());
    bool made = key != NULL && certificate != NULL && id->context != NULL &&
                sign_certificate(certificate, key) &&
                write_pem(certificate, id->pem, sizeof id->pem) &&
                SSL_CTX_use_certificate(id->context, certificate) > 0 &&
                SSL_CTX_use_PrivateKey(id->context, key) > 0;
    if (made) SSL_CTX_set_alpn_select_cb(id->context, choose_protocol, NULL);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return made;
}

static void free_identity(line_identity *id) {
    SSL_CTX_free(id->context);
}

/* The client's first byte tells: TLS begins with a handshake record (22). */
static bool line_secure(sink_line *l, const line_identity *id) {
    unsigned char first = 0;
    if (recv(l->fd, &first, 1, MSG_PEEK) != 1) return false;
    if (first != 22) return true;
    SSL *tls = SSL_new(id->context);
    l->tls = tls;
    return tls != NULL && SSL_set_fd(tls, l->fd) > 0 && SSL_accept(tls) > 0;
}

static ptrdiff_t line_tls_read(sink_line *l, char *out, size_t room) {
    return SSL_read((SSL *)l->tls, out, room < 1 << 30 ? (int)room : 1 << 30);
}

static ptrdiff_t line_tls_write(sink_line *l, const void *bytes, size_t size) {
    return SSL_write((SSL *)l->tls, bytes, (int)size);
}

static void line_close(sink_line *l) {
    SSL_free((SSL *)l->tls);
    (void)close(l->fd);
}

#else

typedef struct line_identity {
    char pem[1];
} line_identity;

static bool make_identity(line_identity *id) {
    id->pem[0] = '\0';
    return true;
}

static void free_identity(line_identity *id) {
    (void)id;
}

static bool line_secure(sink_line *l, const line_identity *id) {
    (void)l;
    (void)id;
    return true;
}

static ptrdiff_t line_tls_read(sink_line *l, char *out, size_t room) {
    (void)l;
    (void)out;
    (void)room;
    return -1;
}

static ptrdiff_t line_tls_write(sink_line *l, const void *bytes, size_t size) {
    (void)l;
    (void)bytes;
    (void)size;
    return -1;
}

static void line_close(sink_line *l) {
    (void)close(l->fd);
}

#endif

/* Adds what has arrived to the buffer. False: the connection is over. */
static bool line_read(sink_line *l) {
    size_t room = LINE_BUFFER_BYTES - l->size;
    char *at = l->buffer + l->size;
    if (room == 0) return false;
    ptrdiff_t n = l->tls != NULL ? line_tls_read(l, at, room) : recv(l->fd, at, room, 0);
    if (n > 0) l->size += (size_t)n;
    return n > 0;
}

static bool line_write(sink_line *l, const void *bytes, size_t size) {
    ptrdiff_t n = l->tls != NULL ? line_tls_write(l, bytes, size)
                                 : send(l->fd, bytes, size, MSG_NOSIGNAL);
    return n == (ptrdiff_t)size;
}

#endif
