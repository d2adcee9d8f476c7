/*
 * SPDX-License-Identifier: MIT
 *
 * PEM text, as far as it is looked at before TLS decodes it: a block that is found is there, and
 * one that is put behind the input is found unless something is wrong in front of it.
 */
#include "fuzz.h"

static void check_kind(const char *text, size_t size, const char *kind, const char *block) {
    const char *problem = hoteli_pem_check(text, kind), *behind;
    char *both = (char *)fuzz_alloc(size + strlen(block) + 1);
    memcpy(both, text, size);
    strcpy(both + size, block);
    behind = hoteli_pem_check(both, kind);
    if (problem == NULL) {
        FUZZ_CHECK(strstr(text, "-----BEGIN ") != NULL && strstr(text, "-----END ") != NULL);
        FUZZ_CHECK(strstr(text, kind) != NULL && behind == NULL);
    } else if (strstr(text, "-----BEGIN ") == NULL) {
        FUZZ_CHECK(strstr(problem, "not PEM") != NULL && behind == NULL);
    } else {
        FUZZ_CHECK(strstr(problem, "not PEM") == NULL);
    }
    free(both);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = (char *)fuzz_alloc(size + 1);
    if (size > 0) memcpy(text, data, size);
    text[size] = 0;
    size = strlen(text);
    check_kind(text, size, "CERTIFICATE",
               "\n-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
    check_kind(text, size, "PRIVATE KEY",
               "\n-----BEGIN EC PRIVATE KEY-----\r\nMHc\r\n-----END EC PRIVATE KEY-----");
    free(text);
    return 0;
}
