/* SPDX-License-Identifier: MIT */
/* token.c - passwords and Bearer tokens, signed with the registry's own key:
 *   v1.<expiry in seconds>.<hmac>             naru's own
 *   v2.<expiry>.<base64 of JSON>.<hmac>       {"k": access key id, "s": scopes or none}
 * The HMAC covers what stands before it. A key that is gone takes its tokens with it. */
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

bool
token_read(const struct registry *reg, struct str text, int64_t now_ms, struct token *out)
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
        !str_to_i64(expiry, &expiry_s) || now_ms / 1000 >= expiry_s)
        return false;
    *out = (struct token){.is_naru = str_is(version, "v1") && signed_part.at == NULL, .until_ms = expiry_s * 1000};
    return out->is_naru || (str_is(version, "v2") && payload_read(signed_part, out));
}

bool
registry_token_check(struct registry *reg, struct str token, int64_t now_ms)
{
    struct token read = {0};

    const bool is_good = token_read(reg, token, now_ms, &read);
    json_unref(read.scopes);
    return is_good;
}
