/* SPDX-License-Identifier: MIT */
#include "base/x509_make.h"

#include <arpa/inet.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#define DAY_S 86400L
#define AUTHORITY_DAYS 3650
#define SERVER_DAYS 397
#define RENEW_DAYS 30

static void
x509_free_(X509 **x)
{
    X509_free(*x);
}

static void
key_free_(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

static void
bio_free_(BIO **bio)
{
    BIO_free(*bio);
}

void
x509_made_done(struct x509_made *made)
{
    if (made->private_key.at != NULL)
        OPENSSL_cleanse(made->private_key.at, made->private_key.capacity);
    strbuf_done(&made->certificate);
    strbuf_done(&made->private_key);
}

static bool
failed(const char *what, struct err *err)
{
    return err_set(err, ERR_INTERNAL, "OpenSSL cannot %s", what);
}

/* ---- PEM ---- */

static void
take_text(BIO *bio, struct strbuf *out)
{
    char *at = NULL;
    const long len = BIO_get_mem_data(bio, &at);

    strbuf_clear(out);
    strbuf_add(out, (struct str){at, (size_t)len});
}

static bool
write_pem(X509 *x, EVP_PKEY *key, struct x509_made *out, struct err *err)
{
    cleanup(bio_free_) BIO *certificate = BIO_new(BIO_s_mem());
    cleanup(bio_free_) BIO *private_key = BIO_new(BIO_s_secmem());

    if (PEM_write_bio_X509(certificate, x) != 1 ||
        PEM_write_bio_PKCS8PrivateKey(private_key, key, NULL, NULL, 0, NULL, NULL) != 1)
        return failed("write a certificate", err);
    take_text(certificate, &out->certificate);
    take_text(private_key, &out->private_key);
    return true;
}

static X509 *
read_certificate(struct str pem)
{
    cleanup(bio_free_) BIO *bio = BIO_new_mem_buf(pem.at, (int)pem.len);

    return bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
}

static EVP_PKEY *
read_key(struct str pem)
{
    cleanup(bio_free_) BIO *bio = BIO_new_mem_buf(pem.at, (int)pem.len);

    return bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
}

/* ---- making ---- */

static bool
extend(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    const bool done = extension != NULL && X509_add_ext(x, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return done;
}

/* Number, times and names; an hour back, for clocks that are slow. */
static bool
fill(X509 *x, EVP_PKEY *key, const char *common_name, X509 *issuer, long days)
{
    unsigned char number[16];
    X509_NAME *subject = X509_get_subject_name(x);
    BIGNUM *serial;

    if (RAND_bytes(number, sizeof(number)) != 1)
        return false;
    number[0] = (unsigned char)((number[0] & 0x7f) | 0x40); /* positive, and of full length */
    serial = BN_bin2bn(number, sizeof(number), NULL);
    const bool numbered =
        serial != NULL && BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(x)) != NULL;
    BN_free(serial);
    return numbered && X509_set_version(x, X509_VERSION_3) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(x), -3600) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(x), days * DAY_S) != NULL &&
           X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8, (const unsigned char *)"naru",
                                      -1, -1, 0) == 1 &&
           X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                      (const unsigned char *)common_name, -1, -1, 0) == 1 &&
           X509_set_issuer_name(x, issuer != NULL ? X509_get_subject_name(issuer) : subject) == 1 &&
           X509_set_pubkey(x, key) == 1;
}

bool
x509_make_authority(const char *common_name, struct x509_made *out, struct err *err)
{
    cleanup(x509_free_) X509 *x = X509_new();
    cleanup(key_free_) EVP_PKEY *key = EVP_EC_gen("prime256v1");

    if (x == NULL || key == NULL || !fill(x, key, common_name, NULL, AUTHORITY_DAYS) ||
        !extend(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
        !extend(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !extend(x, x, NID_subject_key_identifier, "hash") || X509_sign(x, key, EVP_sha256()) == 0)
        return failed("make an authority", err);
    return write_pem(x, key, out, err);
}

static bool
is_address(const char *name)
{
    struct in6_addr address;

    return inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1;
}

static bool
is_host(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        const char c = name.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '-' || (c == '*' && i == 0)))
            return false;
    }
    return name.len > 0 && name.len <= 253;
}

/* "DNS:a.example,IP:10.0.0.1", as OpenSSL reads it; nothing else gets into it. */
static bool
alternative_names(struct str names, struct strbuf *out, struct err *err)
{
    struct str one;

    while (str_split(&names, ',', &one)) {
        cleanup_free char *name = str_dup(str_trim(one));
        const bool address = is_address(name);
        if (!address && !is_host(str_of(name)))
            return err_set(err, ERR_VALIDATION, "'%.100s' is neither a host name nor an address",
                           name);
        strbuf_addf(out, "%s%s:%s", out->len > 0 ? "," : "", address ? "IP" : "DNS", name);
    }
    return out->len > 0 || err_set(err, ERR_VALIDATION, "a certificate needs a name");
}

bool
x509_make_server(const struct x509_made *authority, struct str names, struct x509_made *out,
                 struct err *err)
{
    cleanup(strbuf_done) struct strbuf alternative = {0};
    cleanup(x509_free_) X509 *issuer = read_certificate(strbuf_str(&authority->certificate));
    cleanup(key_free_) EVP_PKEY *issuer_key = read_key(strbuf_str(&authority->private_key));
    cleanup(x509_free_) X509 *x = X509_new();
    cleanup(key_free_) EVP_PKEY *key = EVP_EC_gen("prime256v1");
    const ptrdiff_t comma = str_index(names, ',');
    const struct str first = comma < 0 ? names : str_slice(names, 0, (size_t)comma);

    if (!alternative_names(names, &alternative, err))
        return false;
    /* A common name has no more than 64 characters; who checks looks at the others anyway. */
    cleanup_free char *common_name = str_dup(first.len <= 64 ? first : STR("naru"));
    if (issuer == NULL || issuer_key == NULL || X509_check_private_key(issuer, issuer_key) != 1)
        return err_set(err, ERR_VALIDATION, "the authority's certificate and key do not fit");
    if (x == NULL || key == NULL || !fill(x, key, common_name, issuer, SERVER_DAYS) ||
        !extend(x, issuer, NID_basic_constraints, "critical,CA:FALSE") ||
        !extend(x, issuer, NID_key_usage, "critical,digitalSignature") ||
        !extend(x, issuer, NID_ext_key_usage, "serverAuth") ||
        !extend(x, issuer, NID_subject_key_identifier, "hash") ||
        !extend(x, issuer, NID_authority_key_identifier, "keyid") ||
        !extend(x, issuer, NID_subject_alt_name, strbuf_cstr(&alternative)) ||
        X509_sign(x, issuer_key, EVP_sha256()) == 0)
        return failed("make a certificate", err);
    return write_pem(x, key, out, err);
}

/* ---- asking ---- */

static int
count_names(X509 *x)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    const int count = sk_GENERAL_NAME_num(names);

    GENERAL_NAMES_free(names);
    return count;
}

bool
x509_is_made_for(struct str certificate, struct str authority, struct str names, int64_t now_ms)
{
    cleanup(x509_free_) X509 *x = read_certificate(certificate);
    cleanup(x509_free_) X509 *issuer = read_certificate(authority);
    time_t soon = (time_t)(now_ms / 1000 + RENEW_DAYS * DAY_S);
    struct str one;
    int count = 0;

    if (x == NULL || issuer == NULL || X509_verify(x, X509_get0_pubkey(issuer)) != 1 ||
        X509_cmp_time(X509_get0_notAfter(x), &soon) <= 0)
        return false;
    while (str_split(&names, ',', &one)) {
        cleanup_free char *name = str_dup(str_trim(one));
        if ((is_address(name) ? X509_check_ip_asc(x, name, 0)
                              : X509_check_host(x, name, strlen(name), 0, NULL)) != 1)
            return false;
        count++;
    }
    return count == count_names(x);
}
