/* SPDX-License-Identifier: MIT */
/* crypto.h - SHA-256, SHA-512, HMAC, base64, hex; with x509.h and bignum.h the only user of OpenSSL. */
#pragma once
#include "base/str.h"

#define SHA256_LEN 32
#define SHA256_HEX 64
#define SHA1_HEX 40

struct sha256;
struct sha256 *sha256_new(void);
void sha256_add(struct sha256 *h, const void *data, size_t len);
void sha256_finish(struct sha256 *h, unsigned char out[static SHA256_LEN]); /* once */
void sha256_free(struct sha256 *h);

/* The same by SHA-512. */
#define SHA512_LEN 64
#define SHA512_HEX 128
struct sha512;
struct sha512 *sha512_new(void);
void sha512_add(struct sha512 *h, const void *data, size_t len);
void sha512_finish_hex(struct sha512 *h, char out[static SHA512_HEX + 1]); /* once; frees h */
void sha512_hex(struct str data, char out[static SHA512_HEX + 1]);

void sha256_of(struct str data, unsigned char out[static SHA256_LEN]);
void sha256_hex(struct str data, char out[static SHA256_HEX + 1]);
void sha1_hex(struct str data, char out[static SHA1_HEX + 1]); /* for names that others made; proves nothing */
void hmac_sha256(struct str key, struct str data, unsigned char out[static SHA256_LEN]);
void hex_encode(const void *data, size_t len, char *out); /* 2 * len and a NUL */
bool hex_decode(struct str hex, unsigned char *out);      /* hex.len / 2 bytes */
void base64_encode(struct strbuf *out, struct str data);
bool base64_decode(struct strbuf *out, struct str text);  /* strict, padding required */
bool crypto_equal(struct str a, struct str b);            /* constant time for equal lengths */
