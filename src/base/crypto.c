/* SPDX-License-Identifier: MIT */
#include "base/crypto.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

struct sha256 {
    EVP_MD_CTX *ctx;
    bool finished;
};

/* None of these OpenSSL calls fails but for lack of memory or a broken installation. */
static void
must(int ok)
{
    if (ok != 1)
        abort();
}

static struct sha256 *
handle_new(void)
{
    struct sha256 *h = mem_new(sizeof(*h));

    h->ctx = EVP_MD_CTX_new();
    must(h->ctx != NULL);
    return h;
}

struct sha256 *
sha256_new(void)
{
    struct sha256 *h = handle_new();

    must(EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL));
    return h;
}

void
sha256_add(struct sha256 *h, const void *data, size_t len)
{
    assert(!h->finished);
    if (len > 0)
        must(EVP_DigestUpdate(h->ctx, data, len));
}

void
sha256_finish(struct sha256 *h, unsigned char out[static SHA256_LEN])
{
    assert(!h->finished);
    must(EVP_DigestFinal_ex(h->ctx, out, NULL));
    h->finished = true;
}

struct sha256 *
sha256_copy(const struct sha256 *h)
{
    struct sha256 *copy = handle_new();

    assert(!h->finished);
    must(EVP_MD_CTX_copy_ex(copy->ctx, h->ctx));
    return copy;
}

void
sha256_free(struct sha256 *h)
{
    if (h == NULL)
        return;
    EVP_MD_CTX_free(h->ctx);
    free(h);
}

void
sha256_of(struct str data, unsigned char out[static SHA256_LEN])
{
    must(EVP_Digest(data.len == 0 ? "" : data.at, data.len, out, NULL, EVP_sha256(), NULL));
}

void
sha256_hex(struct str data, char out[static SHA256_HEX + 1])
{
    unsigned char digest[SHA256_LEN];

    sha256_of(data, digest);
    hex_encode(digest, sizeof(digest), out);
}

void
hmac_sha256(struct str key, struct str data, unsigned char out[static SHA256_LEN])
{
    unsigned int len = SHA256_LEN;

    assert(key.len <= INT32_MAX);
    must(HMAC(EVP_sha256(), key.len == 0 ? "" : key.at, (int)key.len,
              (const unsigned char *)(data.len == 0 ? "" : data.at), data.len, out, &len) != NULL);
}

void
hex_encode(const void *data, size_t len, char *out)
{
    const unsigned char *bytes = data;

    for (size_t i = 0; i < len; i++) {
        out[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    out[2 * len] = '\0';
}

static int
hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool
hex_decode(struct str hex, unsigned char *out)
{
    if (hex.len % 2 != 0)
        return false;
    for (size_t i = 0; i < hex.len; i++)
        if (hex_value(hex.at[i]) < 0)
            return false;
    for (size_t i = 0; i < hex.len / 2; i++)
        out[i] = (unsigned char)(hex_value(hex.at[2 * i]) * 16 + hex_value(hex.at[2 * i + 1]));
    return true;
}

static const char base64_chars[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_encode(struct strbuf *out, struct str data)
{
    assert(data.len < SIZE_MAX / 4);
    strbuf_reserve(out, (data.len + 2) / 3 * 4);
    for (size_t i = 0; i < data.len; i += 3) {
        size_t left = data.len - i;
        unsigned n = (unsigned)(unsigned char)data.at[i] << 16;
        char quad[4];

        if (left > 1)
            n |= (unsigned)(unsigned char)data.at[i + 1] << 8;
        if (left > 2)
            n |= (unsigned char)data.at[i + 2];
        quad[0] = base64_chars[n >> 18];
        quad[1] = base64_chars[(n >> 12) & 63];
        quad[2] = left > 1 ? base64_chars[(n >> 6) & 63] : '=';
        quad[3] = left > 2 ? base64_chars[n & 63] : '=';
        strbuf_add(out, (struct str){quad, sizeof(quad)});
    }
}

static int
base64_value(char c)
{
    const char *hit = c == '\0' ? NULL : strchr(base64_chars, c);

    return hit == NULL ? -1 : (int)(hit - base64_chars);
}

/* Strict: one text for each content, so bits behind the last byte must be zero. */
bool
base64_decode(struct strbuf *out, struct str text)
{
    size_t before = out->len, pad = 0;

    if (text.len % 4 != 0)
        return false;
    while (pad < 2 && pad < text.len && text.at[text.len - 1 - pad] == '=')
        pad++;
    strbuf_reserve(out, text.len / 4 * 3);
    for (size_t i = 0; i < text.len; i += 4) {
        size_t chars = i + 4 == text.len ? 4 - pad : 4;
        char triple[3];
        unsigned n = 0;

        for (size_t k = 0; k < 4; k++) {
            int value = k < chars ? base64_value(text.at[i + k]) : 0;

            if (value < 0)
                goto broken;
            n = n << 6 | (unsigned)value;
        }
        if ((chars == 3 && (n & 0xff) != 0) || (chars == 2 && (n & 0xffff) != 0))
            goto broken;
        triple[0] = (char)(n >> 16);
        triple[1] = (char)(n >> 8);
        triple[2] = (char)n;
        strbuf_add(out, (struct str){triple, chars - 1});
    }
    return true;

broken:
    out->len = before;
    out->at[before] = '\0';
    return false;
}

bool
crypto_equal(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.at, b.at, a.len) == 0);
}
