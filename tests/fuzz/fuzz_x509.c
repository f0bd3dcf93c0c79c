/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdint.h>
#include <string.h>
#include "base/x509.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW_MS 1800000000000

static void
check_authorities(struct str all)
{
    cleanup(strbuf_done) struct strbuf clean = {0}, again = {0};
    struct err err = {0};
    const int count = x509_read_authorities(all, &clean, &err);

    assert(count >= 0 && count <= X509_AUTHORITIES_MAX && (count == 0) == (clean.len == 0));
    assert(count > 0 || err.message[0] != '\0');
    assert(count == 0 || (x509_read_authorities(strbuf_str(&clean), &again, &err) == count &&
                          str_equal(strbuf_str(&clean), strbuf_str(&again))));
}

/* Of authorities that stand before them. */
static void
check_revocations(struct str all)
{
    cleanup(strbuf_done) struct strbuf clean = {0}, again = {0};
    struct err err = {0};
    const int64_t count = x509_read_revocations(all, all, &clean, &err);

    assert(count >= -1 && (count < 0) == (clean.len == 0));
    assert(count >= 0 || err.message[0] != '\0');
    assert(count < 0 || (x509_read_revocations(strbuf_str(&clean), all, &again, &err) == count &&
                         str_equal(strbuf_str(&clean), strbuf_str(&again))));
}

/* An import: certificate, key and chain, apart by a line "=".  And the whole as a bundle. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str all = {(const char *)data, size};
    struct str parts[3] = {{0}, {0}, {0}}, rest = all;
    cleanup(x509_pem_done) struct x509_pem pem = {0};
    char fingerprint[41];
    struct err err = {0};

    for (int i = 0; i < 3 && rest.len > 0; i++) {
        const ptrdiff_t cut = str_find(rest, STR("\n=\n"));
        const size_t end = cut < 0 ? rest.len : (size_t)cut + 1;
        parts[i] = str_slice(rest, 0, end);
        rest = str_slice(rest, cut < 0 ? end : end + 2, rest.len);
    }
    const struct x509_import in = {parts[0], parts[1], parts[2]};
    cleanup_json struct json *facts = x509_read(&in, NOW_MS, &pem, &err);
    if (facts != NULL) {
        struct x509_pem again = {0};
        const struct x509_import clean = {strbuf_str(&pem.certificate), strbuf_str(&pem.private_key),
                                          strbuf_str(&pem.chain)};
        cleanup_json struct json *same = x509_read(&clean, NOW_MS, &again, &err);
        assert(json_equal(facts, same) && str_equal(strbuf_str(&again.chain), strbuf_str(&pem.chain)));
        x509_pem_done(&again);
    } else {
        assert(err.code == ERR_VALIDATION && err.message[0] != '\0');
        assert(pem.certificate.len == 0 && pem.private_key.len == 0 && pem.chain.len == 0);
    }
    check_authorities(all);
    check_revocations(all);
    if (x509_is_servable(all, fingerprint, &err))
        assert(strlen(fingerprint) == 40);
    return 0;
}
