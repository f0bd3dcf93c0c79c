/* SPDX-License-Identifier: MIT */
#include "base/seal.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include "base/crypto.h"
#include "base/random.h"

#define NONCE_LEN 12
#define TAG_LEN 16

_Static_assert(NONCE_LEN + TAG_LEN == SEAL_EXTRA, "what a sealed text has more");

static void
must(int ok)
{
    if (ok != 1)
        abort(); /* memory, or a broken OpenSSL */
}

static const unsigned char *
bytes(struct str s)
{
    return (const unsigned char *)(s.at == NULL ? "" : s.at);
}

void
seal(const unsigned char key[static SEAL_KEY_LEN], struct str context, struct str text,
     struct strbuf *out)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    unsigned char nonce[NONCE_LEN], tag[TAG_LEN];
    size_t at = out->len + NONCE_LEN;
    int n, tail;

    must(c != NULL);
    random_bytes(nonce, sizeof(nonce));
    strbuf_add(out, (struct str){(const char *)nonce, sizeof(nonce)});
    strbuf_reserve(out, text.len + TAG_LEN + 1);
    must(EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, nonce));
    must(EVP_EncryptUpdate(c, NULL, &n, bytes(context), (int)context.len));
    must(EVP_EncryptUpdate(c, (unsigned char *)out->at + at, &n, bytes(text), (int)text.len));
    must(EVP_EncryptFinal_ex(c, (unsigned char *)out->at + at + n, &tail));
    must(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG_LEN, tag));
    out->len = at + (size_t)n + (size_t)tail;
    strbuf_add(out, (struct str){(const char *)tag, sizeof(tag)});
    EVP_CIPHER_CTX_free(c);
}

bool
unseal(const unsigned char key[static SEAL_KEY_LEN], struct str context, struct str sealed,
       struct strbuf *out, struct err *err)
{
    EVP_CIPHER_CTX *c;
    size_t len, at = out->len;
    unsigned char tag[TAG_LEN];
    int n, tail;
    bool ok;

    if (sealed.len < SEAL_EXTRA)
        return err_set(err, ERR_ACCESS_DENIED, "not a sealed text");
    len = sealed.len - SEAL_EXTRA;
    memcpy(tag, sealed.at + NONCE_LEN + len, TAG_LEN);
    c = EVP_CIPHER_CTX_new();
    must(c != NULL);
    strbuf_reserve(out, len + 1);
    must(EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, bytes(sealed)));
    must(EVP_DecryptUpdate(c, NULL, &n, bytes(context), (int)context.len));
    must(EVP_DecryptUpdate(c, (unsigned char *)out->at + at, &n, bytes(sealed) + NONCE_LEN,
                           (int)len));
    must(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG_LEN, tag));
    ok = EVP_DecryptFinal_ex(c, (unsigned char *)out->at + at + n, &tail) == 1;
    EVP_CIPHER_CTX_free(c);
    if (ok) {
        out->len = at + len;
        out->at[out->len] = '\0';
        return true;
    }
    secret_wipe(out->at + at, len);
    return err_set(err, ERR_ACCESS_DENIED, "sealed with another key, or changed since");
}

static void
add_base64url(struct strbuf *out, struct str data)
{
    size_t from = out->len;

    base64_encode(out, data);
    while (out->len > from && out->at[out->len - 1] == '=')
        strbuf_cut(out, out->len - 1);
    for (size_t i = from; i < out->len; i++)
        out->at[i] = out->at[i] == '+' ? '-' : out->at[i] == '/' ? '_' : out->at[i];
}

static EVP_PKEY *
read_key(struct str pem)
{
    BIO *bio = BIO_new_mem_buf(bytes(pem), (int)pem.len);
    EVP_PKEY *key;

    must(bio != NULL);
    /* "" for a passphrase: never asked on a terminal. */
    key = PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)(uintptr_t) "");
    BIO_free(bio);
    return key;
}

bool
jwt_rs256(struct str key_pem, struct str payload, struct strbuf *out, struct err *err)
{
    EVP_PKEY *key = read_key(key_pem);
    EVP_MD_CTX *c;
    unsigned char signature[1024];
    size_t from = out->len, len = sizeof(signature);
    bool ok;

    if (key == NULL || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA || EVP_PKEY_get_size(key) > 1024) {
        EVP_PKEY_free(key);
        return err_set(err, ERR_VALIDATION, "not an RSA private key in PEM");
    }
    add_base64url(out, STR("{\"alg\":\"RS256\",\"typ\":\"JWT\"}"));
    strbuf_add_char(out, '.');
    add_base64url(out, payload);
    c = EVP_MD_CTX_new();
    must(c != NULL);
    ok = EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, key) == 1 &&
         EVP_DigestSign(c, signature, &len, (const unsigned char *)out->at + from,
                        out->len - from) == 1;
    EVP_MD_CTX_free(c);
    EVP_PKEY_free(key);
    if (!ok)
        return err_set(err, ERR_VALIDATION, "the key cannot sign");
    strbuf_add_char(out, '.');
    add_base64url(out, (struct str){(const char *)signature, len});
    return true;
}

void
secret_wipe(void *at, size_t len)
{
    if (at != NULL && len > 0)
        OPENSSL_cleanse(at, len);
}
