/* SPDX-License-Identifier: MIT */
/* token.c - passwords and Bearer tokens, signed with the registry's own key:
 *   v1.<expiry in seconds>.<hmac>             naru's own
 *   v2.<expiry>.<base64 of JSON>.<hmac>       {"k": access key id, "s": scopes or none}
 * The HMAC covers what stands before it. A key that is gone takes its tokens with it. */
#include <pthread.h>
#include <stdio.h>

#include "registry/visitor.h"

static void
sign(const struct registry *reg, struct str text, char out[static SHA256_HEX + 1])
{
    unsigned char mac[SHA256_LEN];

    hmac_sha256((struct str){(const char *)reg->key, sizeof reg->key}, text, mac);
    hex_encode(mac, sizeof mac, out);
}

static void
finish(const struct registry *reg, struct str text, struct strbuf *out)
{
    char mac[SHA256_HEX + 1];

    sign(reg, text, mac);
    strbuf_add(out, text);
    strbuf_addf(out, ".%s", mac);
}

void
token_write_naru(const struct registry *reg, int64_t until_ms, struct strbuf *out)
{
    char text[64];

    snprintf(text, sizeof text, "v1.%lld", (long long)(until_ms / 1000));
    finish(reg, str_of(text), out);
}

void
registry_token(struct registry *reg, int64_t now_ms, struct strbuf *out)
{
    token_write_naru(reg, now_ms + REGISTRY_TOKEN_LIFE_MS, out);
}

void
token_write(const struct registry *reg, const char *key_id, const struct json *scopes,
            int64_t until_ms, struct strbuf *out)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup_json struct json *payload = json_object();

    json_set(payload, "k", json_text(key_id));
    if (scopes != NULL)
        json_set(payload, "s", json_ref(scopes));
    cleanup_free char *bytes = json_format(payload);
    strbuf_addf(&text, "v2.%lld.", (long long)(until_ms / 1000));
    base64_encode(&text, str_of(bytes));
    finish(reg, strbuf_str(&text), out);
}

void
registry_token_of(struct registry *reg, const char *access_key_id, int64_t now_ms,
                  struct strbuf *out)
{
    token_write(reg, access_key_id, NULL, now_ms + REGISTRY_TOKEN_LIFE_MS, out);
}

static bool
payload_read(struct str base64, struct token *out)
{
    cleanup(strbuf_done) struct strbuf bytes = {0};

    if (!base64_decode(&bytes, base64))
        return false;
    cleanup_json struct json *payload = json_parse(strbuf_str(&bytes), NULL);
    const struct json *scopes = json_get(payload, "s");
    if (!text_copy(out->key_id, sizeof out->key_id, str_of(json_get_cstr(payload, "k", ""))))
        return false;
    out->scopes = scopes != NULL ? json_ref(scopes) : NULL;
    return true;
}

/* Of its text and the registry's key alone, whatever the time. */
static bool
token_parse(const struct registry *reg, struct str text, struct token *out)
{
    const ptrdiff_t dot = text.len < VISITOR_TOKEN_MAX ? str_rindex(text, '.') : -1;
    struct str signed_part = str_slice(text, 0, dot < 0 ? 0 : (size_t)dot), version, expiry;
    char mac[SHA256_HEX + 1];
    int64_t expiry_s;

    if (dot < 0)
        return false;
    sign(reg, signed_part, mac);
    if (!crypto_equal(str_slice(text, (size_t)dot + 1, text.len), (struct str){mac, SHA256_HEX}) ||
        !str_split(&signed_part, '.', &version) || !str_split(&signed_part, '.', &expiry) ||
        !str_to_i64(expiry, &expiry_s) || expiry_s > INT64_MAX / 1000)
        return false;
    *out = (struct token){.is_naru = str_is(version, "v1") && signed_part.at == NULL, .until_ms = expiry_s * 1000};
    return out->is_naru || (str_is(version, "v2") && payload_read(signed_part, out));
}

/* ---- tokens that were right: a client comes with the same one a hundred times ---- */

#define TOKENS_KEPT 64
#define TOKEN_KEPT_MAX 2048 /* characters */

struct tokens {
    pthread_mutex_t lock;
    struct token_kept {
        struct strbuf text; /* empty: none */
        struct token token;
    } kept[TOKENS_KEPT];
};

struct tokens *
tokens_new(void)
{
    struct tokens *t = mem_new(sizeof *t);

    pthread_mutex_init(&t->lock, NULL);
    return t;
}

static void
kept_done(struct token_kept *k)
{
    if (k->text.at != NULL)
        explicit_bzero(k->text.at, k->text.len);
    strbuf_done(&k->text);
    json_unref(k->token.scopes);
    *k = (struct token_kept){0};
}

void
tokens_free(struct tokens *t)
{
    for (size_t i = 0; t != NULL && i < TOKENS_KEPT; i++)
        kept_done(&t->kept[i]);
    if (t != NULL)
        pthread_mutex_destroy(&t->lock);
    free(t);
}

/* By the end of its signature, which is as good as random. */
static struct token_kept *
kept_of(struct tokens *t, struct str text)
{
    unsigned char end = 0;

    (void)hex_decode(str_slice(text, text.len < 2 ? 0 : text.len - 2, text.len), &end);
    return &t->kept[end % TOKENS_KEPT];
}

static bool
kept_find(struct tokens *t, struct str text, struct token *out)
{
    const struct token_kept *k = kept_of(t, text);

    pthread_mutex_lock(&t->lock);
    const bool found = k->text.len > 0 && crypto_equal(text, strbuf_str(&k->text));
    if (found) {
        *out = k->token;
        out->scopes = json_ref(k->token.scopes);
    }
    pthread_mutex_unlock(&t->lock);
    return found;
}

static void
keep(struct tokens *t, struct str text, const struct token *token)
{
    struct token_kept *k = kept_of(t, text);

    if (text.len > TOKEN_KEPT_MAX)
        return;
    pthread_mutex_lock(&t->lock);
    kept_done(k);
    strbuf_add(&k->text, text);
    k->token = *token;
    k->token.scopes = json_ref(token->scopes);
    pthread_mutex_unlock(&t->lock);
}

bool
token_read(const struct registry *reg, struct str text, int64_t now_ms, struct token *out)
{
    struct token read = {0};
    const bool was_kept = kept_find(reg->tokens, text, &read);

    if (!was_kept && !token_parse(reg, text, &read))
        return false;
    if (now_ms / 1000 >= read.until_ms / 1000) {
        json_unref(read.scopes);
        return false;
    }
    if (!was_kept)
        keep(reg->tokens, text, &read);
    *out = read;
    return true;
}

bool
registry_token_check(struct registry *reg, struct str token, int64_t now_ms)
{
    struct token read = {0};

    const bool is_good = token_read(reg, token, now_ms, &read);
    json_unref(read.scopes);
    return is_good;
}
