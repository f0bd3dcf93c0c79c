/* SPDX-License-Identifier: MIT */
#include "base/uri.h"

#include "base/crypto.h"

static bool
is_unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void
uri_encode(struct strbuf *out, struct str s, bool keep_slash)
{
    strbuf_reserve(out, s.len);
    for (size_t i = 0; i < s.len; i++) {
        if (is_unreserved(s.at[i]) || (keep_slash && s.at[i] == '/'))
            strbuf_add_char(out, s.at[i]);
        else
            strbuf_addf(out, "%%%02X", (unsigned char)s.at[i]);
    }
}

/* Nothing in it stands for anything else. */
static bool
is_plain(struct str s)
{
    return s.len == 0 || (memchr(s.at, '%', s.len) == NULL && memchr(s.at, '+', s.len) == NULL &&
                          memchr(s.at, '\0', s.len) == NULL);
}

bool
uri_decode(struct strbuf *out, struct str s, bool plus_is_space)
{
    const size_t before = out->len;

    if (is_plain(s)) { /* most are */
        strbuf_add(out, s);
        return true;
    }
    strbuf_reserve(out, s.len);
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];

        if (c == '+' && plus_is_space) {
            c = ' ';
        } else if (c == '%') {
            struct str hex = str_slice(s, i + 1, i + 3);

            if (hex.len != 2 || !hex_decode(hex, &c))
                goto broken;
            i += 2;
        }
        if (c == '\0')
            goto broken;
        strbuf_add_char(out, (char)c);
    }
    return true;

broken:
    strbuf_cut(out, before);
    return false;
}

bool
uri_query_get(struct str query, const char *name, struct strbuf *out)
{
    struct str pair;

    while (str_split(&query, '&', &pair)) {
        ptrdiff_t cut = str_index(pair, '=');
        struct str key = cut < 0 ? pair : str_slice(pair, 0, (size_t)cut);
        struct str value = cut < 0 ? STR("") : str_slice(pair, (size_t)cut + 1, pair.len);
        cleanup(strbuf_done) struct strbuf decoded = {0};

        if (uri_decode(&decoded, key, true) && str_is(strbuf_str(&decoded), name))
            return uri_decode(out, value, true);
    }
    return false;
}
