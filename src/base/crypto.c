/* SPDX-License-Identifier: MIT */
#include "base/crypto.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>

#define SHA256_BLOCK 64

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

static EVP_MD *sha256_method;

static void
fetch_sha256(void)
{
    sha256_method = EVP_MD_fetch(NULL, "SHA256", NULL);
    must(sha256_method != NULL);
}

/* Looked up once: EVP_sha256() makes OpenSSL 3 search its providers, under locks, for each digest. */
static const EVP_MD *
method(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, fetch_sha256);
    return sha256_method;
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

    must(EVP_DigestInit_ex2(h->ctx, method(), NULL));
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
    must(EVP_Digest(data.len == 0 ? "" : data.at, data.len, out, NULL, method(), NULL));
}

void
sha256_hex(struct str data, char out[static SHA256_HEX + 1])
{
    unsigned char digest[SHA256_LEN];

    sha256_of(data, digest);
    hex_encode(digest, sizeof(digest), out);
}

/* Rare beside SHA-256, so it is looked up for each digest. */
struct sha512 {
    EVP_MD_CTX *ctx;
};

struct sha512 *
sha512_new(void)
{
    struct sha512 *h = mem_new(sizeof(*h));

    h->ctx = EVP_MD_CTX_new();
    must(h->ctx != NULL);
    must(EVP_DigestInit_ex2(h->ctx, EVP_sha512(), NULL));
    return h;
}

void
sha512_add(struct sha512 *h, const void *data, size_t len)
{
    if (len > 0)
        must(EVP_DigestUpdate(h->ctx, data, len));
}

void
sha512_finish_hex(struct sha512 *h, char out[static SHA512_HEX + 1])
{
    unsigned char hash[SHA512_LEN];

    must(EVP_DigestFinal_ex(h->ctx, hash, NULL));
    EVP_MD_CTX_free(h->ctx);
    free(h);
    hex_encode(hash, sizeof(hash), out);
}

void
sha512_hex(struct str data, char out[static SHA512_HEX + 1])
{
    struct sha512 *h = sha512_new();

    sha512_add(h, data.at, data.len);
    sha512_finish_hex(h, out);
}

/* One of the two digests of an HMAC: of the padded key and what follows. */
static void
keyed_digest(EVP_MD_CTX *ctx, const unsigned char key[static SHA256_BLOCK], unsigned char pad, struct str data,
             unsigned char out[static SHA256_LEN])
{
    unsigned char block[SHA256_BLOCK];

    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = key[i] ^ pad;
    must(EVP_DigestInit_ex2(ctx, method(), NULL));
    must(EVP_DigestUpdate(ctx, block, sizeof(block)));
    must(EVP_DigestUpdate(ctx, data.len == 0 ? "" : data.at, data.len));
    must(EVP_DigestFinal_ex(ctx, out, NULL));
    OPENSSL_cleanse(block, sizeof(block));
}

/* RFC 2104 over the method above: OpenSSL's own HMAC() looks everything up anew, ten times the cost of
 * the hashing. */
void
sha1_hex(struct str data, char out[static SHA1_HEX + 1])
{
    unsigned char digest[SHA1_HEX / 2];

    must(EVP_Digest(data.at == NULL ? "" : data.at, data.len, digest, NULL, EVP_sha1(), NULL));
    hex_encode(digest, sizeof(digest), out);
}

void
hmac_sha256(struct str key, struct str data, unsigned char out[static SHA256_LEN])
{
    unsigned char block[SHA256_BLOCK] = {0}, inner[SHA256_LEN];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    must(ctx != NULL);
    if (key.len > sizeof(block))
        sha256_of(key, block);
    else if (key.len > 0)
        memcpy(block, key.at, key.len);
    keyed_digest(ctx, block, 0x36, data, inner);
    keyed_digest(ctx, block, 0x5c, (struct str){(const char *)inner, sizeof(inner)}, out);
    OPENSSL_cleanse(block, sizeof(block));
    EVP_MD_CTX_free(ctx);
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
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
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
        char *triple = out->at + out->len;
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
        out->len += chars - 1;
    }
    strbuf_cut(out, out->len); /* and its NUL */
    return true;

broken:
    strbuf_cut(out, before);
    return false;
}

bool
crypto_equal(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.at, b.at, a.len) == 0);
}
