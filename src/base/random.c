/* SPDX-License-Identifier: MIT */
#include "base/random.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static const char hex_digits[] = "0123456789abcdef";
static const char token_chars[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

/* Both sources fill bytes; what is made of them is shared. */
typedef void byte_source(void *arg, void *out, size_t len);

static void
system_source(void *arg, void *out, size_t len)
{
    (void)arg;
    random_bytes(out, len);
}

static void
rng_source(void *arg, void *out, size_t len)
{
    unsigned char *at = out;

    while (len > 0) {
        uint64_t n = rng_next(arg);
        size_t piece = len < sizeof(n) ? len : sizeof(n);

        for (size_t i = 0; i < piece; i++) /* byte order of the ids may not depend on the machine */
            at[i] = (unsigned char)(n >> (8 * i));
        at += piece;
        len -= piece;
    }
}

/* Each character takes one byte; both alphabets divide 256, so none is likelier. */
static void
make_text(byte_source *source, void *arg, const char *alphabet, unsigned mask, char *out, size_t len)
{
    unsigned char bytes[64];

    for (size_t done = 0; done < len;) {
        size_t piece = len - done < sizeof(bytes) ? len - done : sizeof(bytes);

        source(arg, bytes, piece);
        for (size_t i = 0; i < piece; i++)
            out[done + i] = alphabet[bytes[i] & mask];
        done += piece;
    }
    out[len] = '\0';
}

static void
make_uuid(byte_source *source, void *arg, char out[static 37])
{
    unsigned char bytes[16];
    size_t at = 0;

    source(arg, bytes, sizeof(bytes));
    bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x40); /* version 4 */
    bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80); /* RFC 4122 */
    for (size_t i = 0; i < sizeof(bytes); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            out[at++] = '-';
        out[at++] = hex_digits[bytes[i] >> 4];
        out[at++] = hex_digits[bytes[i] & 15];
    }
    out[at] = '\0';
}

void
random_bytes(void *out, size_t len)
{
    char *at = out;

    while (len > 0) {
        ssize_t n = getrandom(at, len, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            abort(); /* an id or a key that is not random is worse than no service */
        at += n;
        len -= (size_t)n;
    }
}

void
random_hex(char *out, size_t digits)
{
    make_text(system_source, NULL, hex_digits, 15, out, digits);
}

/* Drawn in bulk: every request has such a name.  Names, not keys: those are drawn one by one. */
static void
pooled_source(void *arg, void *out, size_t len)
{
    static _Thread_local unsigned char pool[512];
    static _Thread_local size_t left;

    (void)arg;
    assert(len <= sizeof(pool));
    if (left < len) {
        random_bytes(pool, sizeof(pool));
        left = sizeof(pool);
    }
    left -= len;
    memcpy(out, pool + left, len);
}

void
random_uuid(char out[static 37])
{
    make_uuid(pooled_source, NULL, out);
}

/* A command line would take one that begins with '-' for an option. */
static void
make_token(byte_source *source, void *arg, char *out, size_t chars)
{
    make_text(source, arg, token_chars, 63, out, chars);
    if (out[0] == '-')
        out[0] = '_';
}

void
random_token(char *out, size_t chars)
{
    make_token(system_source, NULL, out, chars);
}

/* splitmix64, the seeding that xoshiro's authors advise: a seed of 0 is as good as any. */
void
rng_seed(struct rng *r, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9e3779b97f4a7c15u;

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        r->s[i] = z ^ (z >> 31);
    }
}

static uint64_t
rotate_left(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

uint64_t
rng_next(struct rng *r)
{
    uint64_t *s = r->s, result = rotate_left(s[1] * 5, 7) * 9, t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t
rng_below(struct rng *r, uint64_t bound)
{
    uint64_t floor, n;

    assert(bound > 0);
    /* What lies below 2^64 mod bound would make small results likelier; draw again. */
    floor = -bound % bound;
    do
        n = rng_next(r);
    while (n < floor);
    return n % bound;
}

void
rng_hex(struct rng *r, char *out, size_t digits)
{
    make_text(rng_source, r, hex_digits, 15, out, digits);
}

void
rng_uuid(struct rng *r, char out[static 37])
{
    make_uuid(rng_source, r, out);
}

void
rng_token(struct rng *r, char *out, size_t chars)
{
    make_token(rng_source, r, out, chars);
}
