/* SPDX-License-Identifier: MIT */
/* x509.h - certificates with their private keys, and those of authorities: PEM in, facts and clean PEM out.
 * x509_read() is what an import has to pass: one certificate, its key, and the chain behind it in
 * order.  What comes out is written anew, so that nothing but certificates and one unencrypted key is in
 * it, whatever text stood around them.  x509_is_servable() is the last word before a server gets one.
 * x509_read_authorities() is what certificates of clients may be verified by, x509_read_revocations() which of them
 * are not to be believed any more.
 * Errors: ERR_VALIDATION with the sentences of AWS Certificate Manager.  No text of a key is ever in one.
 * With crypto.c and bignum.c the only user of OpenSSL. */
#pragma once
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

#define X509_REVOCATION_LISTS_MAX 25 /* in one text */
#define X509_CHAIN_MAX 32 /* certificates of a chain */

struct x509_import {
    struct str certificate, private_key, chain; /* PEM; the chain may be empty */
};

struct x509_pem { /* the same, clean */
    struct strbuf certificate, private_key, chain;
};
void x509_pem_done(struct x509_pem *pem);

/* Gives the facts, an object: DomainName, SubjectAlternativeNames, Serial, Subject, Issuer, NotBefore and
 * NotAfter (milliseconds), KeyAlgorithm, SignatureAlgorithm, KeyUsages, ExtendedKeyUsages, Fingerprint
 * (SHA-1 in hex, as HAProxy shows it).  The rest is named as DescribeCertificate has it.  NULL and err: it
 * is refused, and `pem_out` is empty. */
struct json *x509_read(const struct x509_import *in, int64_t now_ms, struct x509_pem *pem_out,
                       struct err *err) MUST_CHECK;

/* Would a TLS server of this machine's OpenSSL take a file of certificate, chain and key?  Why not in err.
 * Gives the SHA-1 fingerprint of its certificate: 40 hex digits, upper case. */
bool x509_is_servable(struct str bundle, char fingerprint_out[static 41], struct err *err) MUST_CHECK;

#define X509_AUTHORITIES_MAX 25                /* certificates of a bundle */
#define X509_AUTHORITY_SIZE_MAX ((size_t)16384) /* of one, as it is written */

/* A bundle of certificate authorities, by which a server here can verify clients: PEM, nothing in it but
 * certificates of authorities with keys that are strong enough, each with its issuer in the bundle up to one that
 * issued itself.  Gives how many there are, each once, and the clean text; 0 and err: it is none. */
int x509_read_authorities(struct str pem, struct strbuf *out, struct err *err) MUST_CHECK;
/* Lists of certificates (CRL) that authorities of the bundle take back: PEM, each list whole (no delta, no part of one)
 * and signed by such an authority, with SHA-2.  Gives how many entries they have, and the clean text; -1 and err. */
int64_t x509_read_revocations(struct str pem, struct str authorities, struct strbuf *out, struct err *err) MUST_CHECK;
