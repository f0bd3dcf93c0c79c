/* SPDX-License-Identifier: MIT */
#include "base/x509.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define NAMES_MAX 100 /* of a certificate: more are refused */

static inline void free_key_(EVP_PKEY **k) { EVP_PKEY_free(*k); }
static inline void free_bio_(BIO **b) { BIO_free(*b); }
static inline void free_ctx_(SSL_CTX **c) { SSL_CTX_free(*c); }
static inline void free_list_(X509_CRL **l) { X509_CRL_free(*l); }
static inline void free_chain_(STACK_OF(X509) **s) { sk_X509_pop_free(*s, X509_free); }

static bool
refuse(struct err *err, const char *message)
{
    ERR_clear_error();
    return err_set(err, ERR_VALIDATION, "%s", message);
}

static BIO *
view(struct str text)
{
    return BIO_new_mem_buf(text.len > 0 ? text.at : "", (int)text.len);
}

/* An encrypted key must not make OpenSSL ask at the terminal. */
static int
no_passphrase(char *buf, int size, int rwflag, void *u)
{
    return -1;
}

/* ---- reading ---- */

/* The certificates of a PEM text, and one more than the maximum if there are more; NULL: one is not readable. */
static STACK_OF(X509) *
read_certificates(struct str pem, int max)
{
    cleanup(free_bio_) BIO *bio = view(pem);
    cleanup(free_chain_) STACK_OF(X509) *all = sk_X509_new_null();
    X509 *x;

    if (bio == NULL || all == NULL)
        return NULL;
    ERR_clear_error();
    while ((x = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)) != NULL) {
        if (sk_X509_push(all, x) == 0) {
            X509_free(x);
            return NULL;
        }
        if (sk_X509_num(all) > max)
            return TAKE(all);
    }
    /* What ends the text is that no line begins another one; anything else is a broken one. */
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return NULL;
    ERR_clear_error();
    return TAKE(all);
}

static EVP_PKEY *
read_key(struct str pem)
{
    cleanup(free_bio_) BIO *bio = view(pem);
    EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);

    ERR_clear_error();
    return key;
}

static const char *
curve_name(const EVP_PKEY *key)
{
    static const char *const curves[][2] = {
        {"prime256v1", "EC_prime256v1"}, {"secp384r1", "EC_secp384r1"}, {"secp521r1", "EC_secp521r1"}};
    char group[32] = "";
    size_t len;

    if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group), &len) != 1)
        return NULL;
    for (size_t i = 0; i < ARRAY_COUNT(curves); i++)
        if (strcmp(group, curves[i][0]) == 0)
            return curves[i][1];
    return NULL;
}

/* As the service names it, or NULL: not supported. */
static const char *
key_algorithm(const EVP_PKEY *key)
{
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC)
        return curve_name(key);
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA)
        return NULL;
    switch (EVP_PKEY_get_bits(key)) {
    case 1024:
        return "RSA_1024";
    case 2048:
        return "RSA_2048";
    case 3072:
        return "RSA_3072";
    case 4096:
        return "RSA_4096";
    default:
        return NULL;
    }
}

/* ---- facts ---- */

static bool
time_of(const ASN1_TIME *at, int64_t *ms_out)
{
    struct tm tm;

    if (ASN1_TIME_to_tm(at, &tm) != 1)
        return false;
    *ms_out = (int64_t)timegm(&tm) * 1000;
    return true;
}

static char *
name_line(const X509_NAME *name)
{
    cleanup(free_bio_) BIO *bio = BIO_new(BIO_s_mem());
    char *at = NULL;
    long len;

    if (bio == NULL || X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) < 0)
        return text_dup("");
    len = BIO_get_mem_data(bio, &at);
    return str_dup((struct str){at, len > 0 ? (size_t)len : 0});
}

/* The first value of this kind in a name, or NULL. */
static char *
name_entry(const X509_NAME *name, int nid)
{
    const int index = X509_NAME_get_index_by_NID(name, nid, -1);
    unsigned char *utf8 = NULL;
    char *text;
    int len;

    if (index < 0)
        return NULL;
    len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index)));
    if (len < 0)
        return NULL;
    text = memchr(utf8, '\0', (size_t)len) == NULL ? str_dup((struct str){(char *)utf8, (size_t)len}) : NULL;
    OPENSSL_free(utf8);
    return text;
}

/* "*.example.com": letters, digits, hyphens and dots, at most 253 of them, a star in front only. */
static bool
is_domain(struct str s)
{
    const struct str rest = str_starts(s, STR("*.")) ? str_slice(s, 2, s.len) : s;
    bool is_start = true;

    if (rest.len == 0 || s.len > 253)
        return false;
    for (size_t i = 0; i < rest.len; i++) {
        const char c = rest.at[i];
        const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_plain && ((c != '-' && c != '.' && c != '_') || is_start))
            return false;
        is_start = c == '.';
    }
    return !is_start;
}

static void
add_name(struct json *names, struct str name)
{
    for (size_t i = 0; i < json_size(names); i++)
        if (str_equal_nocase(str_of(json_cstr(json_at(names, i), "")), name))
            return;
    if (is_domain(name))
        json_append(names, json_str(name));
}

/* The domains that it is for: of the common name and of the alternative names, each once. */
static bool
read_names(const X509 *x, const char *common_name, struct json *names)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    const int count = sk_GENERAL_NAME_num(all);

    if (common_name != NULL)
        add_name(names, str_of(common_name));
    for (int i = 0; i < count && json_size(names) <= NAMES_MAX; i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);
        if (g->type == GEN_DNS)
            add_name(names, (struct str){(const char *)ASN1_STRING_get0_data(g->d.dNSName),
                                         (size_t)ASN1_STRING_length(g->d.dNSName)});
    }
    GENERAL_NAMES_free(all);
    return json_size(names) <= NAMES_MAX;
}

static struct json *
serial_json(const X509 *x)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    BIGNUM *n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
    char *hex = n == NULL ? NULL : BN_bn2hex(n);

    for (const char *p = hex; p != NULL && p[0] != '\0' && p[1] != '\0'; p += 2)
        strbuf_addf(&text, "%s%c%c", text.len > 0 ? ":" : "", p[0] | 0x20, p[1] | 0x20);
    OPENSSL_free(hex);
    BN_free(n);
    return json_text(strbuf_cstr(&text));
}

/* "SHA256WITHRSA" */
static struct json *
signature_json(const X509 *x)
{
    int digest = 0, key = 0;
    const char *kind;
    cleanup_free char *text = NULL;

    if (OBJ_find_sigid_algs(X509_get_signature_nid(x), &digest, &key) != 1 || digest == NID_undef)
        return json_text(OBJ_nid2sn(X509_get_signature_nid(x)));
    kind = key == NID_X9_62_id_ecPublicKey ? "ECDSA" : "RSA";
    text = text_format("%sWITH%s", OBJ_nid2sn(digest), kind);
    return json_text(text);
}

static struct json *
named(const char *name, const char *oid)
{
    struct json *o = json_object();

    json_set(o, "Name", json_text(name));
    if (oid != NULL)
        json_set(o, "OID", json_text(oid));
    return o;
}

static struct json *
usages_json(X509 *x)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } rows[] = {
        {KU_DIGITAL_SIGNATURE, "DIGITAL_SIGNATURE"}, {KU_NON_REPUDIATION, "NON_REPUDIATION"},
        {KU_KEY_ENCIPHERMENT, "KEY_ENCIPHERMENT"},   {KU_DATA_ENCIPHERMENT, "DATA_ENCIPHERMENT"},
        {KU_KEY_AGREEMENT, "KEY_AGREEMENT"},         {KU_KEY_CERT_SIGN, "CERTIFICATE_SIGNING"},
        {KU_CRL_SIGN, "CRL_SIGNING"},                {KU_ENCIPHER_ONLY, "ENCIPHER_ONLY"},
        {KU_DECIPHER_ONLY, "DECIPHER_ONLY"},
    };
    const uint32_t bits = X509_get_key_usage(x); /* all of them: it says nothing */
    struct json *list = json_array();

    for (size_t i = 0; i < ARRAY_COUNT(rows) && bits != UINT32_MAX; i++)
        if ((bits & rows[i].bit) != 0)
            json_append(list, named(rows[i].name, NULL));
    if (bits == UINT32_MAX)
        json_append(list, named("ANY", NULL));
    return list;
}

static const char *
purpose_name(const char *oid)
{
    static const char *const rows[][2] = {
        {"1.3.6.1.5.5.7.3.1", "TLS_WEB_SERVER_AUTHENTICATION"},
        {"1.3.6.1.5.5.7.3.2", "TLS_WEB_CLIENT_AUTHENTICATION"},
        {"1.3.6.1.5.5.7.3.3", "CODE_SIGNING"},
        {"1.3.6.1.5.5.7.3.4", "EMAIL_PROTECTION"},
        {"1.3.6.1.5.5.7.3.5", "IPSEC_END_SYSTEM"},
        {"1.3.6.1.5.5.7.3.6", "IPSEC_TUNNEL"},
        {"1.3.6.1.5.5.7.3.7", "IPSEC_USER"},
        {"1.3.6.1.5.5.7.3.8", "TIME_STAMPING"},
        {"1.3.6.1.5.5.7.3.9", "OCSP_SIGNING"},
        {"2.5.29.37.0", "ANY"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (strcmp(rows[i][0], oid) == 0)
            return rows[i][1];
    return "CUSTOM";
}

static struct json *
purposes_json(const X509 *x)
{
    EXTENDED_KEY_USAGE *all = X509_get_ext_d2i(x, NID_ext_key_usage, NULL, NULL);
    struct json *list = json_array();

    for (int i = 0; i < sk_ASN1_OBJECT_num(all); i++) {
        char oid[80];
        OBJ_obj2txt(oid, sizeof(oid), sk_ASN1_OBJECT_value(all, i), /* no_name= */ 1);
        json_append(list, named(purpose_name(oid), oid));
    }
    EXTENDED_KEY_USAGE_free(all);
    if (json_size(list) == 0)
        json_append(list, named("NONE", NULL));
    return list;
}

static bool
fingerprint(const X509 *x, char out[static 41])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int len = 0;

    if (X509_digest(x, EVP_sha1(), digest, &len) != 1 || len != 20)
        return false;
    for (unsigned int i = 0; i < len; i++)
        snprintf(out + 2 * i, 3, "%02X", digest[i]);
    return true;
}

/* The name of who issued it: the organisation, as the service shows it, or the common name. */
static void
set_issuer(struct json *facts, const X509_NAME *name)
{
    cleanup_free char *organisation = name_entry(name, NID_organizationName);
    cleanup_free char *common = name_entry(name, NID_commonName);
    cleanup_free char *line = name_line(name);

    json_set(facts, "Issuer", json_text(organisation != NULL ? organisation : common != NULL ? common : line));
}

static struct json *
make_facts(X509 *x, const char *algorithm, struct err *err)
{
    cleanup_json struct json *facts = json_object(), *names = json_array();
    cleanup_free char *common = name_entry(X509_get_subject_name(x), NID_commonName);
    cleanup_free char *subject = name_line(X509_get_subject_name(x));
    char sha1[41] = "";
    int64_t from_ms, to_ms;

    if (!read_names(x, common, names))
        return refuse(err, "The certificate has more than 100 domain names."), NULL;
    if (!time_of(X509_get0_notBefore(x), &from_ms) || !time_of(X509_get0_notAfter(x), &to_ms) ||
        !fingerprint(x, sha1))
        return refuse(err, "The certificate is not PEM-encoded or is not valid."), NULL;
    if (json_size(names) > 0)
        json_set(facts, "DomainName", json_ref(json_at(names, 0)));
    json_set(facts, "SubjectAlternativeNames", TAKE(names));
    json_set(facts, "Serial", serial_json(x));
    json_set(facts, "Subject", json_text(subject));
    set_issuer(facts, X509_get_issuer_name(x));
    json_set(facts, "NotBefore", json_int(from_ms));
    json_set(facts, "NotAfter", json_int(to_ms));
    json_set(facts, "KeyAlgorithm", json_text(algorithm));
    json_set(facts, "SignatureAlgorithm", signature_json(x));
    json_set(facts, "KeyUsages", usages_json(x));
    json_set(facts, "ExtendedKeyUsages", purposes_json(x));
    json_set(facts, "Fingerprint", json_text(sha1));
    return TAKE(facts);
}

/* ---- what an import has to pass ---- */

static bool
is_issued_by(X509 *x, X509 *issuer)
{
    EVP_PKEY *key = X509_get0_pubkey(issuer);
    const bool is = key != NULL && X509_NAME_cmp(X509_get_issuer_name(x), X509_get_subject_name(issuer)) == 0 &&
                    X509_verify(x, key) == 1;

    ERR_clear_error();
    return is;
}

/* Each is certified by the one behind it (alb.md A3); the last one's issuer is nobody's business. */
static bool
check_chain(X509 *x, const STACK_OF(X509) *chain, struct err *err)
{
    for (int i = 0; i < sk_X509_num(chain); i++) {
        X509 *next = sk_X509_value(chain, i);
        if (!is_issued_by(x, next))
            return refuse(err, "Could not validate the certificate with the certificate chain.");
        x = next;
    }
    if (sk_X509_num(chain) == 0 && !is_issued_by(x, x))
        return refuse(err, "Provided certificate is not a valid self signed. Please provide either a valid "
                           "self-signed certificate or certificate chain.");
    return true;
}

static bool
check_validity(const X509 *x, int64_t now_ms, struct err *err)
{
    int64_t from_ms, to_ms;

    if (!time_of(X509_get0_notBefore(x), &from_ms) || !time_of(X509_get0_notAfter(x), &to_ms))
        return refuse(err, "The certificate is not PEM-encoded or is not valid.");
    if (now_ms < from_ms)
        return refuse(err, "The certificate is not in effect yet, is not valid.");
    return now_ms < to_ms || refuse(err, "The certificate has expired, is not valid.");
}

static bool
check_key(EVP_PKEY *key, X509 *x, const char **algorithm_out, struct err *err)
{
    EVP_PKEY *public = X509_get0_pubkey(x);

    *algorithm_out = key_algorithm(key);
    if (*algorithm_out == NULL)
        return refuse(err, "The private key length is not supported for key algorithm.");
    if (public == NULL || EVP_PKEY_eq(public, key) != 1)
        return refuse(err, "The private key does not match the certificate.");
    return true;
}

/* ---- writing ---- */

static bool
take_text(BIO *bio, struct strbuf *out)
{
    char *at = NULL;
    const long len = BIO_get_mem_data(bio, &at);

    if (len <= 0)
        return false;
    strbuf_add(out, (struct str){at, (size_t)len});
    return true;
}

static bool
write_certificate(X509 *x, struct strbuf *out)
{
    cleanup(free_bio_) BIO *bio = BIO_new(BIO_s_mem());

    return bio != NULL && PEM_write_bio_X509(bio, x) == 1 && take_text(bio, out);
}

static bool
write_key(EVP_PKEY *key, struct strbuf *out)
{
    cleanup(free_bio_) BIO *bio = BIO_new(BIO_s_secmem());

    return bio != NULL && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1 &&
           take_text(bio, out);
}

void
x509_pem_done(struct x509_pem *pem)
{
    strbuf_done(&pem->certificate);
    strbuf_done(&pem->private_key);
    strbuf_done(&pem->chain);
}

static bool
write_all_pem(X509 *x, EVP_PKEY *key, const STACK_OF(X509) *chain, struct x509_pem *out)
{
    bool ok = write_certificate(x, &out->certificate) && write_key(key, &out->private_key);

    for (int i = 0; ok && i < sk_X509_num(chain); i++)
        ok = write_certificate(sk_X509_value(chain, i), &out->chain);
    return ok;
}

struct json *
x509_read(const struct x509_import *in, int64_t now_ms, struct x509_pem *pem_out, struct err *err)
{
    cleanup(free_chain_) STACK_OF(X509) *own = read_certificates(in->certificate, 1);
    cleanup(free_chain_) STACK_OF(X509) *chain = read_certificates(in->chain, X509_CHAIN_MAX);
    cleanup(free_key_) EVP_PKEY *key = read_key(in->private_key);
    const char *algorithm;
    struct json *facts;

    *pem_out = (struct x509_pem){0};
    if (own == NULL || sk_X509_num(own) == 0)
        return refuse(err, "The certificate is not PEM-encoded or is not valid."), NULL;
    if (sk_X509_num(own) > 1)
        return refuse(err, "The certificate field contains more than one certificate. You can specify only "
                           "one certificate in this field."), NULL;
    if (key == NULL)
        return refuse(err, "The private key is not PEM-encoded or is not valid."), NULL;
    if (chain == NULL || sk_X509_num(chain) > X509_CHAIN_MAX || (in->chain.len > 0 && sk_X509_num(chain) == 0))
        return refuse(err, "The certificate chain is not PEM-encoded or is not valid."), NULL;
    X509 *x = sk_X509_value(own, 0);
    if (!check_key(key, x, &algorithm, err) || !check_validity(x, now_ms, err) || !check_chain(x, chain, err))
        return NULL;
    facts = make_facts(x, algorithm, err);
    if (facts != NULL && !write_all_pem(x, key, chain, pem_out)) {
        x509_pem_done(pem_out);
        *pem_out = (struct x509_pem){0};
        json_unref(facts);
        return refuse(err, "The certificate is not PEM-encoded or is not valid."), NULL;
    }
    return facts;
}

/* ---- the last word ---- */

static bool
not_servable(struct err *err)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    err_set(err, ERR_VALIDATION, "%s", reason != NULL ? reason : "it is no certificate with its key");
    ERR_clear_error();
    return false;
}

bool
x509_is_servable(struct str bundle, char fingerprint_out[static 41], struct err *err)
{
    cleanup(free_chain_) STACK_OF(X509) *all = read_certificates(bundle, X509_CHAIN_MAX + 1);
    cleanup(free_key_) EVP_PKEY *key = read_key(bundle);
    cleanup(free_ctx_) SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (all == NULL || sk_X509_num(all) == 0 || sk_X509_num(all) > X509_CHAIN_MAX + 1 || key == NULL || ctx == NULL ||
        !fingerprint(sk_X509_value(all, 0), fingerprint_out))
        return not_servable(err);
    if (SSL_CTX_use_certificate(ctx, sk_X509_value(all, 0)) != 1 || SSL_CTX_use_PrivateKey(ctx, key) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1)
        return not_servable(err);
    for (int i = 1; i < sk_X509_num(all); i++)
        if (SSL_CTX_add1_chain_cert(ctx, sk_X509_value(all, i)) != 1)
            return not_servable(err);
    return true;
}

/* ---- authorities ---- */

static bool
refuse_authority(struct err *err, const X509 *x, const char *why)
{
    cleanup_free char *subject = name_line(X509_get_subject_name(x));

    ERR_clear_error();
    return err_set(err, ERR_VALIDATION, "The certificate of '%.200s' %s", subject, why);
}

/* What OpenSSL would verify nobody by, at its usual level of security. */
static bool
is_strong(X509 *x)
{
    EVP_PKEY *key = X509_get0_pubkey(x);

    if (key == NULL)
        return false;
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
        return EVP_PKEY_get_bits(key) >= 2048 && EVP_PKEY_get_bits(key) <= 8192;
    return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC && curve_name(key) != NULL;
}

/* Which of them lead to one that issued itself?  Two that issued each other do not. */
static void
find_rooted(const STACK_OF(X509) *all, bool is_rooted[static X509_AUTHORITIES_MAX])
{
    const int count = sk_X509_num(all);
    bool issued[X509_AUTHORITIES_MAX][X509_AUTHORITIES_MAX], is_changed = true;

    for (int i = 0; i < count; i++) {
        for (int k = 0; k < count; k++)
            issued[i][k] = is_issued_by(sk_X509_value(all, i), sk_X509_value(all, k));
        is_rooted[i] = issued[i][i];
    }
    while (is_changed) {
        is_changed = false;
        for (int i = 0; i < count; i++)
            for (int k = 0; k < count && !is_rooted[i]; k++)
                if (issued[i][k] && is_rooted[k])
                    is_changed = is_rooted[i] = true;
    }
}

static bool
check_authority(X509 *x, bool is_rooted, struct err *err)
{
    if (X509_check_ca(x) == 0)
        return refuse_authority(err, x, "is none of a certificate authority.");
    if (!is_strong(x))
        return refuse_authority(err, x, "has a key that is not supported: RSA of 2048 to 8192 bits, P-256, P-384 and "
                                        "P-521 are.");
    return is_rooted || refuse_authority(err, x, "has no issuer in the bundle, which has to go up to a certificate "
                                                 "that issued itself.");
}

static bool
is_repeated(const STACK_OF(X509) *all, int index)
{
    for (int i = 0; i < index; i++)
        if (X509_cmp(sk_X509_value(all, i), sk_X509_value(all, index)) == 0)
            return true;
    return false;
}

int
x509_read_authorities(struct str pem, struct strbuf *out, struct err *err)
{
    cleanup(free_chain_) STACK_OF(X509) *all = read_certificates(pem, X509_AUTHORITIES_MAX);
    cleanup(strbuf_done) struct strbuf text = {0};
    bool is_rooted[X509_AUTHORITIES_MAX];
    int count = 0;

    if (all == NULL || sk_X509_num(all) == 0)
        return refuse(err, "The bundle has no certificates in PEM, or one that is broken."), 0;
    if (sk_X509_num(all) > X509_AUTHORITIES_MAX)
        return err_set(err, ERR_VALIDATION, "The bundle has more than %d certificates.", X509_AUTHORITIES_MAX), 0;
    find_rooted(all, is_rooted);
    for (int i = 0; i < sk_X509_num(all); i++) {
        X509 *x = sk_X509_value(all, i);
        const size_t before = text.len;

        if (is_repeated(all, i))
            continue;
        if (!check_authority(x, is_rooted[i], err))
            return 0;
        if (!write_certificate(x, &text) || text.len - before > X509_AUTHORITY_SIZE_MAX)
            return refuse_authority(err, x, "is larger than 16 KB."), 0;
        count++;
    }
    strbuf_add(out, strbuf_str(&text));
    return count;
}

/* ---- lists of what was taken back ---- */

/* A whole list says nothing that a reader must understand to read it (parts and deltas do). */
static bool
is_signed_well(X509_CRL *list, const STACK_OF(X509) *authorities)
{
    int digest = NID_undef;

    if (X509_CRL_get_ext_by_critical(list, 1, -1) >= 0 ||
        OBJ_find_sigid_algs(X509_CRL_get_signature_nid(list), &digest, NULL) == 0 ||
        (digest != NID_sha256 && digest != NID_sha384 && digest != NID_sha512))
        return false;
    for (int i = 0; i < sk_X509_num(authorities); i++) {
        X509 *x = sk_X509_value(authorities, i);
        if (X509_NAME_cmp(X509_get_subject_name(x), X509_CRL_get_issuer(list)) == 0 &&
            X509_CRL_verify(list, X509_get0_pubkey(x)) == 1)
            return true;
    }
    return false;
}

static bool
write_list(X509_CRL *list, struct strbuf *out)
{
    cleanup(free_bio_) BIO *bio = BIO_new(BIO_s_mem());

    return bio != NULL && PEM_write_bio_X509_CRL(bio, list) == 1 && take_text(bio, out);
}

/* One after the other, to the end of the text. */
static int64_t
read_lists(BIO *bio, const STACK_OF(X509) *authorities, struct strbuf *out, struct err *err)
{
    int64_t entries = 0;

    for (int count = 0;; count++) {
        cleanup(free_list_) X509_CRL *list = PEM_read_bio_X509_CRL(bio, NULL, no_passphrase, NULL);
        if (list == NULL) {
            if (count == 0 || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
                return refuse(err, "The file has no revocation lists in PEM, or one that is broken."), -1;
            ERR_clear_error();
            return entries;
        }
        if (count == X509_REVOCATION_LISTS_MAX)
            return err_set(err, ERR_VALIDATION, "The file has more than %d revocation lists.", count), -1;
        if (!is_signed_well(list, authorities))
            return refuse(err, "A revocation list is not signed by an authority of the trust store with SHA-2, or is "
                               "none that is whole."), -1;
        if (!write_list(list, out))
            return refuse(err, "A revocation list cannot be written."), -1;
        entries += X509_CRL_get_REVOKED(list) == NULL ? 0 : sk_X509_REVOKED_num(X509_CRL_get_REVOKED(list));
    }
}

int64_t
x509_read_revocations(struct str pem, struct str authorities, struct strbuf *out, struct err *err)
{
    cleanup(free_chain_) STACK_OF(X509) *all = read_certificates(authorities, X509_AUTHORITIES_MAX);
    cleanup(free_bio_) BIO *bio = view(pem);
    cleanup(strbuf_done) struct strbuf text = {0};
    int64_t entries;

    if (all == NULL || bio == NULL)
        return refuse(err, "There are no authorities."), -1;
    ERR_clear_error();
    entries = read_lists(bio, all, &text, err);
    ERR_clear_error();
    if (entries >= 0)
        strbuf_add(out, strbuf_str(&text));
    return entries;
}
