/* SPDX-License-Identifier: MIT */
#include "balancer/http_head.h"

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_token(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* The line up to LF, without CR; false if no LF came yet. */
static bool
take_line(struct str *rest, struct str *line_out)
{
    const ptrdiff_t end = str_index(*rest, '\n');

    if (end < 0)
        return false;
    *line_out = str_slice(*rest, 0, (size_t)end);
    *rest = str_slice(*rest, (size_t)end + 1, rest->len);
    if (str_ends(*line_out, STR("\r")))
        line_out->len--;
    return true;
}

static bool
parse_status_line(struct str line, int *status_out)
{
    /* "HTTP/1.1 200 OK"; the reason and the blank before it may be missing */
    if (line.len < 12 || !str_starts(line, STR("HTTP/1.")) || !is_digit(line.at[7]) ||
        line.at[8] != ' ' || (line.len > 12 && line.at[12] != ' '))
        return false;
    int status = 0;
    for (int i = 9; i < 12; i++) {
        if (!is_digit(line.at[i]))
            return false;
        status = status * 10 + (line.at[i] - '0');
    }
    *status_out = status;
    return status >= 100;
}

static bool
is_header_line(struct str line)
{
    const ptrdiff_t colon = str_index(line, ':');

    if (colon <= 0)
        return false;
    for (ptrdiff_t i = 0; i < colon; i++)
        if (!is_token(line.at[i]))
            return false;
    for (size_t i = (size_t)colon; i < line.len; i++)
        if (((unsigned char)line.at[i] < 0x20 && line.at[i] != '\t') || line.at[i] == 0x7f)
            return false;
    return true;
}

/* Knows a stranger by its first bytes, so that a wrong protocol fails at once, not by timeout. */
static bool
can_become_http(struct str bytes)
{
    const struct str want = STR("HTTP/1.");
    const size_t len = bytes.len < want.len ? bytes.len : want.len;

    return len == 0 || memcmp(bytes.at, want.at, len) == 0;
}

enum http_head
http_head_parse(struct str bytes, int *status_out)
{
    struct str rest = bytes, line;

    for (;;) { /* each round is one head; ends, since `rest` shrinks */
        int status;

        if (!can_become_http(rest))
            return HTTP_HEAD_BAD;
        if (!take_line(&rest, &line))
            break;
        if (!parse_status_line(line, &status))
            return HTTP_HEAD_BAD;
        for (;;) {
            if (!take_line(&rest, &line))
                return bytes.len >= HTTP_HEAD_LIMIT ? HTTP_HEAD_BAD : HTTP_HEAD_MORE;
            if (line.len == 0)
                break;
            if (!is_header_line(line))
                return HTTP_HEAD_BAD;
        }
        if (status >= 200 || status == 101) {
            *status_out = status;
            return HTTP_HEAD_DONE;
        }
    }
    return bytes.len >= HTTP_HEAD_LIMIT ? HTTP_HEAD_BAD : HTTP_HEAD_MORE;
}
