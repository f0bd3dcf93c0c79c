/* SPDX-License-Identifier: MIT */
/* cert_maker.h - certificates for tests, made as they run: none that is stored would stay valid. */
#pragma once
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include "base/str.h"

struct made { /* cert_done() frees it */
    X509 *x;
    EVP_PKEY *key;
    char *certificate, *private_key; /* PEM */
};

struct cert_wish {
    const char *common_name, *organisation; /* NULL: none */
    const char *names;        /* subjectAltName in OpenSSL's words, "DNS:a.example,DNS:*.b.example"; NULL: none */
    const char *usages, *purposes; /* keyUsage, extendedKeyUsage, the same */
    const char *curve;        /* "prime256v1" if NULL and rsa_bits is 0 */
    unsigned rsa_bits;
    const struct made *issuer; /* NULL: itself */
    long from_s, to_s;         /* from now on; both 0: a day */
    bool is_ca;
};

static inline char *
cert_text(BIO *bio)
{
    char *at = NULL;
    const long len = BIO_get_mem_data(bio, &at);
    char *text = str_dup((struct str){at, (size_t)len});

    BIO_free(bio);
    return text;
}

static inline void
cert_extend(X509 *x, const struct made *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *extension;

    if (value == NULL)
        return;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer != NULL ? issuer->x : x, x, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    if (extension == NULL || X509_add_ext(x, extension, -1) != 1)
        abort();
    X509_EXTENSION_free(extension);
}

static inline void
cert_name(X509_NAME *name, const char *field, const char *value)
{
    if (value != NULL && X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, (const unsigned char *)value, -1,
                                                    -1, 0) != 1)
        abort();
}

static inline struct made
cert_make(const struct cert_wish *wish)
{
    static long serial;
    struct made m = {.x = X509_new()};
    BIO *bio;

    m.key = wish->rsa_bits != 0 ? EVP_RSA_gen(wish->rsa_bits)
                                : EVP_EC_gen(wish->curve != NULL ? wish->curve : "prime256v1");
    X509_set_version(m.x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(m.x), 0x10000 + ++serial);
    X509_gmtime_adj(X509_getm_notBefore(m.x), wish->from_s == 0 ? -3600 : wish->from_s);
    X509_gmtime_adj(X509_getm_notAfter(m.x), wish->to_s == 0 ? 86400 : wish->to_s);
    cert_name(X509_get_subject_name(m.x), "O", wish->organisation);
    cert_name(X509_get_subject_name(m.x), "CN", wish->common_name);
    X509_set_issuer_name(m.x, X509_get_subject_name(wish->issuer != NULL ? wish->issuer->x : m.x));
    X509_set_pubkey(m.x, m.key);
    cert_extend(m.x, wish->issuer, NID_basic_constraints, wish->is_ca ? "critical,CA:TRUE" : NULL);
    cert_extend(m.x, wish->issuer, NID_subject_alt_name, wish->names);
    cert_extend(m.x, wish->issuer, NID_key_usage, wish->usages);
    cert_extend(m.x, wish->issuer, NID_ext_key_usage, wish->purposes);
    if (X509_sign(m.x, wish->issuer != NULL ? wish->issuer->key : m.key, EVP_sha256()) <= 0)
        abort();
    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, m.x);
    m.certificate = cert_text(bio);
    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PKCS8PrivateKey(bio, m.key, NULL, NULL, 0, NULL, NULL);
    m.private_key = cert_text(bio);
    return m;
}

static inline void
cert_done(struct made *m)
{
    X509_free(m->x);
    EVP_PKEY_free(m->key);
    free(m->certificate);
    free(m->private_key);
}
#define cleanup_cert cleanup(cert_done)

/* A list, PEM, by which the issuer takes back the `count` certificates of these numbers; free() it.  `to_s` is as of
 * cert_wish; `critical` an extension that is so with the number 1, or NID_undef. */
static inline char *
cert_revoke(const struct made *issuer, const X509 *const *revoked, int count, const EVP_MD *digest, long to_s,
            int critical)
{
    X509_CRL *list = X509_CRL_new();
    ASN1_TIME *at = X509_gmtime_adj(NULL, -7200);
    BIO *bio = BIO_new(BIO_s_mem());

    X509_CRL_set_version(list, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(list, X509_get_subject_name(issuer->x));
    X509_CRL_set1_lastUpdate(list, at);
    for (int i = 0; i < count; i++) {
        X509_REVOKED *entry = X509_REVOKED_new();
        X509_REVOKED_set_serialNumber(entry, (ASN1_INTEGER *)X509_get0_serialNumber(revoked[i]));
        X509_REVOKED_set_revocationDate(entry, at);
        X509_CRL_add0_revoked(list, entry);
    }
    X509_gmtime_adj(at, to_s == 0 ? 86400 : to_s);
    X509_CRL_set1_nextUpdate(list, at);
    if (critical != NID_undef) {
        ASN1_INTEGER *number = ASN1_INTEGER_new();
        ASN1_INTEGER_set(number, 1);
        X509_CRL_add1_ext_i2d(list, critical, number, 1, 0);
        ASN1_INTEGER_free(number);
    }
    X509_CRL_sort(list);
    if (X509_CRL_sign(list, issuer->key, digest) <= 0)
        abort();
    PEM_write_bio_X509_CRL(bio, list);
    ASN1_TIME_free(at);
    X509_CRL_free(list);
    return cert_text(bio);
}
