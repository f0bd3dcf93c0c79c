/* SPDX-License-Identifier: MIT */
/* What an import of a certificate has to pass, and what is read from it. */
#include "base/clock.h"
#include "base/x509.h"
#include "cert_maker.h"
#include "check.h"

static struct json *
read_pem(const char *certificate, const char *key, const char *chain, struct x509_pem *pem, struct err *err)
{
    const struct x509_import in = {str_of(certificate), str_of(key), str_of(chain)};

    return x509_read(&in, clock_wall_ms(), pem, err);
}

static void
refused_at(int line, const char *certificate, const char *key, const char *chain, const char *message)
{
    cleanup(x509_pem_done) struct x509_pem pem = {0};
    struct err err = {0};

    if (read_pem(certificate, key, chain, &pem, &err) != NULL)
        check_fail(__FILE__, line, "it is taken");
    CHECK_EQ(err.code, ERR_VALIDATION);
    CHECK_EQ(pem.certificate.len + pem.private_key.len + pem.chain.len, 0);
    if (strstr(err.message, message) == NULL)
        check_fail(__FILE__, line, "'%s' lacks '%s'", err.message, message);
}
#define refused(...) refused_at(__LINE__, __VA_ARGS__)

static struct made
make_ca(const char *name, const struct made *issuer)
{
    return cert_make(&(struct cert_wish){.common_name = name, .organisation = "Tests, Inc.", .issuer = issuer,
                                         .is_ca = true, .usages = "keyCertSign"});
}

TEST(facts_are_read_from_the_certificate)
{
    cleanup_cert struct made ca = make_ca("root", NULL);
    cleanup_cert struct made leaf = cert_make(&(struct cert_wish){
        .common_name = "www.example.com", .names = "DNS:www.example.com,DNS:*.example.com,IP:10.0.0.1",
        .usages = "digitalSignature,keyEncipherment", .purposes = "serverAuth,1.2.3.4", .issuer = &ca});
    cleanup(x509_pem_done) struct x509_pem pem = {0};
    struct err err = {0};
    cleanup_json struct json *facts = read_pem(leaf.certificate, leaf.private_key, ca.certificate, &pem, &err);
    cleanup_free char *text = NULL;

    CHECK(facts != NULL);
    CHECK_TEXT(json_get_cstr(facts, "DomainName", ""), "www.example.com");
    CHECK_TEXT(json_get_cstr(facts, "Subject", ""), "CN=www.example.com");
    CHECK_TEXT(json_get_cstr(facts, "Issuer", ""), "Tests, Inc.");
    CHECK_TEXT(json_get_cstr(facts, "KeyAlgorithm", ""), "EC_prime256v1");
    CHECK_TEXT(json_get_cstr(facts, "SignatureAlgorithm", ""), "SHA256WITHECDSA");
    CHECK_TEXT(json_get_cstr(facts, "Serial", ""), "01:00:02");
    CHECK_EQ(json_get_i64(facts, "NotAfter", 0) - json_get_i64(facts, "NotBefore", 0), (86400 + 3600) * 1000LL);
    text = json_format(json_get(facts, "SubjectAlternativeNames"));
    CHECK_TEXT(text, "[\"www.example.com\",\"*.example.com\"]");
    free(text);
    text = json_format(json_get(facts, "KeyUsages"));
    CHECK_TEXT(text, "[{\"Name\":\"DIGITAL_SIGNATURE\"},{\"Name\":\"KEY_ENCIPHERMENT\"}]");
    free(text);
    text = json_format(json_get(facts, "ExtendedKeyUsages"));
    CHECK_TEXT(text, "[{\"Name\":\"TLS_WEB_SERVER_AUTHENTICATION\",\"OID\":\"1.3.6.1.5.5.7.3.1\"},"
                     "{\"Name\":\"CUSTOM\",\"OID\":\"1.2.3.4\"}]");
    CHECK_TEXT(strbuf_cstr(&pem.certificate), leaf.certificate);
    CHECK_TEXT(strbuf_cstr(&pem.private_key), leaf.private_key);
    CHECK_TEXT(strbuf_cstr(&pem.chain), ca.certificate);
}

TEST(a_certificate_that_says_little_is_taken_too)
{
    cleanup_cert struct made leaf = cert_make(&(struct cert_wish){.organisation = "nobody", .rsa_bits = 2048});
    cleanup(x509_pem_done) struct x509_pem pem = {0};
    struct err err = {0};
    cleanup_json struct json *facts = read_pem(leaf.certificate, leaf.private_key, "", &pem, &err);

    CHECK(facts != NULL && json_get(facts, "DomainName") == NULL);
    CHECK_EQ(json_size(json_get(facts, "SubjectAlternativeNames")), 0);
    CHECK_TEXT(json_get_cstr(facts, "KeyAlgorithm", ""), "RSA_2048");
    CHECK_TEXT(json_get_cstr(facts, "SignatureAlgorithm", ""), "SHA256WITHRSA");
    CHECK_TEXT(json_get_cstr(json_at(json_get(facts, "KeyUsages"), 0), "Name", ""), "ANY");
    CHECK_TEXT(json_get_cstr(json_at(json_get(facts, "ExtendedKeyUsages"), 0), "Name", ""), "NONE");
    CHECK_EQ(pem.chain.len, 0);
}

TEST(what_is_no_certificate_or_no_key_is_refused)
{
    cleanup_cert struct made m = cert_make(&(struct cert_wish){.common_name = "a.example"});
    cleanup_free char *two = text_format("%s%s", m.certificate, m.certificate);
    cleanup_free char *cut = str_dup(str_slice(str_of(m.certificate), 0, 200));
    char sealed[4096] = "";
    BIO *bio = BIO_new(BIO_s_mem());

    refused("", m.private_key, "", "The certificate is not PEM-encoded or is not valid.");
    refused("no pem", m.private_key, "", "The certificate is not PEM-encoded or is not valid.");
    refused(cut, m.private_key, "", "The certificate is not PEM-encoded or is not valid.");
    refused(m.private_key, m.private_key, "", "The certificate is not PEM-encoded or is not valid.");
    refused(two, m.private_key, "", "contains more than one certificate");
    refused(m.certificate, "", "", "The private key is not PEM-encoded or is not valid.");
    refused(m.certificate, m.certificate, "", "The private key is not PEM-encoded or is not valid.");
    refused(m.certificate, m.private_key, "no pem", "The certificate chain is not PEM-encoded or is not valid.");
    /* With a passphrase: nobody is asked for it. */
    PEM_write_bio_PKCS8PrivateKey(bio, m.key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL);
    BIO_read(bio, sealed, sizeof(sealed) - 1);
    BIO_free(bio);
    CHECK(strstr(sealed, "ENCRYPTED") != NULL);
    refused(m.certificate, sealed, "", "The private key is not PEM-encoded or is not valid.");
}

TEST(the_key_must_be_the_certificates_and_of_a_known_kind)
{
    cleanup_cert struct made a = cert_make(&(struct cert_wish){.common_name = "a.example"});
    cleanup_cert struct made b = cert_make(&(struct cert_wish){.common_name = "b.example"});
    cleanup_cert struct made odd = cert_make(&(struct cert_wish){.common_name = "a.example", .rsa_bits = 1536});
    cleanup_cert struct made k = cert_make(&(struct cert_wish){.common_name = "a.example", .curve = "secp256k1"});

    refused(a.certificate, b.private_key, "", "The private key does not match the certificate.");
    refused(odd.certificate, odd.private_key, "", "The private key length is not supported for key algorithm.");
    refused(k.certificate, k.private_key, "", "The private key length is not supported for key algorithm.");
}

TEST(a_certificate_is_valid_when_it_is_imported)
{
    cleanup_cert struct made late = cert_make(&(struct cert_wish){.common_name = "a.example", .from_s = 60});
    cleanup_cert struct made old =
        cert_make(&(struct cert_wish){.common_name = "a.example", .from_s = -7200, .to_s = -60});

    refused(late.certificate, late.private_key, "", "The certificate is not in effect yet");
    refused(old.certificate, old.private_key, "", "The certificate has expired");
}

TEST(a_chain_is_complete_and_in_order)
{
    cleanup_cert struct made root = make_ca("root", NULL), middle = make_ca("middle", &root);
    cleanup_cert struct made other = make_ca("middle", NULL); /* the same name, another key */
    cleanup_cert struct made leaf = cert_make(&(struct cert_wish){.common_name = "a.example", .issuer = &middle});
    cleanup_free char *good = text_format("%s\nsome text\n%s", middle.certificate, root.certificate);
    cleanup_free char *turned = text_format("%s%s", root.certificate, middle.certificate);
    cleanup(x509_pem_done) struct x509_pem pem = {0};
    cleanup_free char *clean = text_format("%s%s", middle.certificate, root.certificate);
    cleanup(strbuf_done) struct strbuf many = {0};
    struct err err = {0};
    cleanup_json struct json *facts = read_pem(leaf.certificate, leaf.private_key, good, &pem, &err);

    CHECK(facts != NULL);
    CHECK_TEXT(strbuf_cstr(&pem.chain), clean); /* what stood between is gone */
    refused(leaf.certificate, leaf.private_key, "", "is not a valid self signed");
    refused(leaf.certificate, leaf.private_key, turned, "Could not validate the certificate with the certificate chain.");
    refused(leaf.certificate, leaf.private_key, other.certificate, "Could not validate the certificate");
    for (int i = 0; i <= X509_CHAIN_MAX; i++)
        strbuf_add_cstr(&many, root.certificate);
    refused(leaf.certificate, leaf.private_key, strbuf_cstr(&many), "The certificate chain is not PEM-encoded");
}

TEST(the_last_word_is_that_of_a_tls_server)
{
    cleanup_cert struct made a = cert_make(&(struct cert_wish){.common_name = "a.example"});
    cleanup_cert struct made b = cert_make(&(struct cert_wish){.common_name = "a.example"});
    cleanup_cert struct made weak = cert_make(&(struct cert_wish){.common_name = "a.example", .rsa_bits = 1024});
    cleanup_free char *good = text_format("%s%s", a.certificate, a.private_key);
    cleanup_free char *mixed = text_format("%s%s", a.certificate, b.private_key);
    cleanup_free char *small = text_format("%s%s", weak.certificate, weak.private_key);
    char fingerprint[41] = "";
    struct err err = {0};

    CHECK(x509_is_servable(str_of(good), fingerprint, &err));
    CHECK_EQ(strlen(fingerprint), 40);
    CHECK(!x509_is_servable(str_of(mixed), fingerprint, &err) && strstr(err.message, "mismatch") != NULL);
    CHECK(!x509_is_servable(str_of(small), fingerprint, &err) && strstr(err.message, "key too small") != NULL);
    CHECK(!x509_is_servable(str_of(a.certificate), fingerprint, &err));
    CHECK(!x509_is_servable(STR(""), fingerprint, &err));
}

/* ---- authorities ---- */

static void
no_bundle_at(int line, const char *pem, const char *message)
{
    cleanup(strbuf_done) struct strbuf out = {0};
    struct err err = {0};

    if (x509_read_authorities(str_of(pem), &out, &err) != 0)
        check_fail(__FILE__, line, "it is taken");
    CHECK_EQ(err.code, ERR_VALIDATION);
    CHECK_EQ(out.len, 0);
    if (strstr(err.message, message) == NULL)
        check_fail(__FILE__, line, "'%s' lacks '%s'", err.message, message);
}
#define no_bundle(...) no_bundle_at(__LINE__, __VA_ARGS__)

TEST(a_bundle_of_authorities_is_read_and_written_anew)
{
    cleanup_cert struct made root = cert_make(&(struct cert_wish){.common_name = "root", .is_ca = true});
    cleanup_cert struct made middle =
        cert_make(&(struct cert_wish){.common_name = "middle", .is_ca = true, .issuer = &root, .rsa_bits = 2048});
    cleanup_cert struct made low = cert_make(&(struct cert_wish){.common_name = "low", .is_ca = true, .issuer = &middle});
    cleanup_free char *given = text_format("# ours\n%s text\n%s%s%s", low.certificate, root.certificate, middle.certificate,
                                           root.certificate);
    cleanup_free char *want = text_format("%s%s%s", low.certificate, root.certificate, middle.certificate);
    cleanup(strbuf_done) struct strbuf out = {0};
    struct err err = {0};

    CHECK_EQ(x509_read_authorities(str_of(given), &out, &err), 3); /* each once */
    CHECK_TEXT(strbuf_cstr(&out), want);
    strbuf_clear(&out); /* what is over verifies nobody, and harms nobody */
    cleanup_cert struct made old = cert_make(
        &(struct cert_wish){.common_name = "old", .is_ca = true, .from_s = -7200, .to_s = -3600});
    CHECK_EQ(x509_read_authorities(str_of(old.certificate), &out, &err), 1);
}

TEST(what_verifies_nobody_is_no_bundle)
{
    cleanup_cert struct made root = cert_make(&(struct cert_wish){.common_name = "root", .is_ca = true});
    cleanup_cert struct made leaf = cert_make(&(struct cert_wish){.common_name = "leaf", .issuer = &root});
    cleanup_cert struct made middle = cert_make(&(struct cert_wish){.common_name = "middle", .is_ca = true, .issuer = &root});
    cleanup_cert struct made low = cert_make(&(struct cert_wish){.common_name = "low", .is_ca = true, .issuer = &middle});
    cleanup_cert struct made weak =
        cert_make(&(struct cert_wish){.common_name = "weak", .is_ca = true, .rsa_bits = 1024});
    cleanup_cert struct made odd =
        cert_make(&(struct cert_wish){.common_name = "odd", .is_ca = true, .curve = "secp256k1"});
    cleanup_free char *with_leaf = text_format("%s%s", root.certificate, leaf.certificate);
    cleanup_free char *rootless = text_format("%s%s", low.certificate, middle.certificate);
    cleanup_free char *broken = text_format("%s-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", root.certificate);
    cleanup(strbuf_done) struct strbuf many = {0};

    no_bundle("", "no certificates in PEM");
    no_bundle("text", "no certificates in PEM");
    no_bundle(root.private_key, "no certificates in PEM");
    no_bundle(broken, "one that is broken");
    no_bundle(with_leaf, "'CN=leaf' is none of a certificate authority");
    no_bundle(weak.certificate, "a key that is not supported");
    no_bundle(odd.certificate, "a key that is not supported");
    no_bundle(rootless, "'CN=low' has no issuer in the bundle");
    for (int i = 0; i <= X509_AUTHORITIES_MAX; i++)
        strbuf_add_cstr(&many, root.certificate);
    no_bundle(strbuf_cstr(&many), "more than 25");
    strbuf_add_cstr(&many, root.certificate);
    no_bundle(strbuf_cstr(&many), "more than 25");
}

/* ---- lists of what was taken back ---- */

static void
check_refused_lists(const char *pem, const char *authorities, const char *why)
{
    cleanup(strbuf_done) struct strbuf out = {0};
    struct err err = {0};

    CHECK_EQ(x509_read_revocations(str_of(pem), str_of(authorities), &out, &err), -1);
    CHECK(err.code == ERR_VALIDATION && strstr(err.message, why) != NULL);
    CHECK_EQ(out.len, 0);
}

TEST(lists_of_revoked_certificates_are_read_and_written_anew)
{
    cleanup_cert struct made root = cert_make(&(struct cert_wish){.common_name = "root", .is_ca = true});
    cleanup_cert struct made leaf = cert_make(&(struct cert_wish){.common_name = "leaf", .issuer = &root});
    cleanup_cert struct made other = cert_make(&(struct cert_wish){.common_name = "other", .issuer = &root});
    const X509 *const revoked[] = {leaf.x, other.x};
    cleanup_free char *two = cert_revoke(&root, revoked, 2, EVP_sha256(), 0, NID_undef);
    cleanup_free char *none = cert_revoke(&root, NULL, 0, EVP_sha384(), -3600, NID_undef); /* old, and empty */
    cleanup_free char *given = text_format("text\n%s\nmore\n%s", two, none);
    cleanup_free char *clean = text_format("%s%s", two, none);
    cleanup(strbuf_done) struct strbuf out = {0};
    struct err err;

    CHECK_EQ(x509_read_revocations(str_of(given), str_of(root.certificate), &out, &err), 2);
    CHECK_TEXT(strbuf_cstr(&out), clean);
    strbuf_clear(&out);
    CHECK_EQ(x509_read_revocations(str_of(none), str_of(root.certificate), &out, &err), 0);
}

TEST(lists_that_nobody_here_signed_or_that_are_parts_are_refused)
{
    cleanup_cert struct made root = cert_make(&(struct cert_wish){.common_name = "root", .is_ca = true});
    cleanup_cert struct made namesake = cert_make(&(struct cert_wish){.common_name = "root", .is_ca = true});
    cleanup_free char *own = cert_revoke(&root, NULL, 0, EVP_sha256(), 0, NID_undef);
    cleanup_free char *weak = cert_revoke(&root, NULL, 0, EVP_sha1(), 0, NID_undef);
    cleanup_free char *delta = cert_revoke(&root, NULL, 0, EVP_sha256(), 0, NID_delta_crl);
    cleanup_free char *foreign = cert_revoke(&namesake, NULL, 0, EVP_sha256(), 0, NID_undef);
    cleanup_free char *broken = text_format("%s-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", own);
    cleanup_free char *both = text_format("%s%s", own, foreign);
    cleanup(strbuf_done) struct strbuf many = {0};

    for (int i = 0; i <= X509_REVOCATION_LISTS_MAX; i++)
        strbuf_add_cstr(&many, own);
    check_refused_lists("", root.certificate, "no revocation lists in PEM");
    check_refused_lists(root.certificate, root.certificate, "no revocation lists in PEM");
    check_refused_lists(broken, root.certificate, "broken");
    check_refused_lists(weak, root.certificate, "SHA-2");
    check_refused_lists(delta, root.certificate, "whole");
    check_refused_lists(foreign, root.certificate, "not signed");
    check_refused_lists(both, root.certificate, "not signed");
    check_refused_lists(own, namesake.certificate, "not signed");
    check_refused_lists(strbuf_cstr(&many), root.certificate, "more than 25");
}
