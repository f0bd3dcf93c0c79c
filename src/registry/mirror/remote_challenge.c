/* SPDX-License-Identifier: MIT */
/* remote_challenge.c - the words of another registry that lead on: challenges and redirects. */
#include "registry/mirror/remote.h"

/* ---- WWW-Authenticate: Bearer realm="...",service="...",scope="..." ---- */

static struct str
token_cut(struct str *rest)
{
    size_t n = 0;

    while (n < rest->len && strchr(" \t,=\"", rest->at[n]) == NULL)
        n++;
    struct str token = str_slice(*rest, 0, n);
    *rest = str_slice(*rest, n, rest->len);
    return token;
}

/* A quoted text without its escapes, or a token. False if the quote does not end. */
static bool
value_cut(struct str *rest, char *out, size_t size)
{
    size_t used = 0, i = 1;

    if (rest->len == 0 || rest->at[0] != '"')
        return text_copy(out, size, token_cut(rest));
    for (; i < rest->len && rest->at[i] != '"'; i++) {
        if (rest->at[i] == '\\' && i + 1 < rest->len)
            i++;
        if (used + 1 >= size || (unsigned char)rest->at[i] < ' ')
            return false;
        out[used++] = rest->at[i];
    }
    out[used] = '\0';
    if (i >= rest->len)
        return false;
    *rest = str_slice(*rest, i + 1, rest->len);
    return true;
}

static bool
parameter_take(struct str name, struct str *rest, struct challenge *out)
{
    char unknown[1024];

    if (str_equal_nocase(name, STR("realm")))
        return value_cut(rest, out->realm, sizeof out->realm);
    if (str_equal_nocase(name, STR("service")))
        return value_cut(rest, out->service, sizeof out->service);
    if (str_equal_nocase(name, STR("scope")))
        return value_cut(rest, out->scope, sizeof out->scope);
    return value_cut(rest, unknown, sizeof unknown);
}

static struct str
separators_skip(struct str s)
{
    while (s.len > 0 && strchr(" \t,", s.at[0]) != NULL)
        s = str_slice(s, 1, s.len);
    return s;
}

bool
challenge_parse(struct str header, struct challenge *out)
{
    struct str rest = str_trim(header), scheme = token_cut(&rest);

    *out = (struct challenge){.is_bearer = str_equal_nocase(scheme, STR("Bearer"))};
    if (!out->is_bearer)
        return str_equal_nocase(scheme, STR("Basic"));
    for (;;) {
        rest = separators_skip(rest);
        if (rest.len == 0)
            break;
        const struct str name = token_cut(&rest);
        if (name.len == 0 || rest.len == 0 || rest.at[0] != '=')
            return false;
        rest = str_slice(rest, 1, rest.len);
        if (!parameter_take(name, &rest, out))
            return false;
    }
    return url_host(str_of(out->realm)).len > 0;
}

/* ---- URLs ---- */

static size_t
scheme_len(struct str url)
{
    return str_starts(url, STR("https://")) ? 8 : str_starts(url, STR("http://")) ? 7 : 0;
}

struct str
url_host(struct str url)
{
    const size_t begin = scheme_len(url);
    size_t end = begin;

    while (end < url.len && strchr("/?#", url.at[end]) == NULL) {
        const unsigned char c = (unsigned char)url.at[end];
        if (c <= ' ' || c == '@' || c == '\\' || c >= 0x7f) /* no names, no tricks */
            return (struct str){0};
        end++;
    }
    return begin == 0 ? (struct str){0} : str_slice(url, begin, end);
}

bool
url_follow(struct str base, struct str location, struct strbuf *out)
{
    const struct str host = url_host(base);

    for (size_t i = 0; i < location.len; i++)
        if ((unsigned char)location.at[i] <= ' ' || (unsigned char)location.at[i] >= 0x7f)
            return false;
    if (host.len == 0 || location.len == 0)
        return false;
    if (location.at[0] == '/' && !str_starts(location, STR("//"))) {
        strbuf_add(out, str_range(base.at, host.at + host.len));
        strbuf_add(out, location);
        return true;
    }
    if (url_host(location).len == 0 || (scheme_len(base) == 8 && scheme_len(location) != 8))
        return false;
    strbuf_add(out, location);
    return true;
}
