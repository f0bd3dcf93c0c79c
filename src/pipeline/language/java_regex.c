/* SPDX-License-Identifier: MIT */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "pipeline/language/java_regex.h"
#include <ctype.h>
#include <pcre2.h>
#include <stdio.h>
#include <string.h>
#include "base/json.h"

/* Java writes the POSIX classes as \p{Alpha}; the rest of its syntax is PCRE's. */
static void
translate(struct str pattern, struct strbuf *out)
{
    static const char *const classes[] = {"Lower", "Upper", "Alpha", "Digit", "Alnum",  "Punct",
                                          "Graph", "Print", "Blank", "Cntrl", "XDigit", "Space"};
    bool in_set = false;

    for (size_t i = 0; i < pattern.len; i++) {
        const char c = pattern.at[i], next = i + 1 < pattern.len ? pattern.at[i + 1] : '\0';
        size_t n = 0;

        if (c == '\\' && (next == 'p' || next == 'P')) {
            struct str rest = str_slice(pattern, i + 2, pattern.len);
            const ptrdiff_t end = str_index(rest, '}');
            const struct str name = str_slice(rest, 1, end < 0 ? 0 : (size_t)end);
            while (n < ARRAY_COUNT(classes) && !str_is(name, classes[n]))
                n++;
            if (n < ARRAY_COUNT(classes)) {
                char lower[16] = "";
                for (size_t k = 0; classes[n][k] != '\0'; k++)
                    lower[k] = (char)tolower((unsigned char)classes[n][k]);
                strbuf_addf(out, "%s[:%s%s:]%s", in_set ? "" : "[", next == 'P' ? "^" : "", lower,
                            in_set ? "" : "]");
                i += 3 + strlen(classes[n]);
                continue;
            }
        }
        if (c == '\\' && next != '\0') {
            strbuf_add_char(out, c);
            strbuf_add_char(out, next);
            i++;
            continue;
        }
        if (c == '[')
            in_set = true;
        else if (c == ']')
            in_set = false;
        strbuf_add_char(out, c);
    }
}

pcre2_code *
java_regex_compile(struct str pattern, uint32_t options, int *error, size_t *where)
{
    cleanup(strbuf_done) struct strbuf java = {0};

    translate(pattern, &java);
    /* \C splits characters */
    return pcre2_compile((PCRE2_SPTR)strbuf_cstr(&java), java.len,
                         options | PCRE2_NEVER_BACKSLASH_C, error, where, NULL);
}

bool
java_regex_check(struct str pattern, char why[static 200])
{
    pcre2_code *code;
    size_t where;
    int error;

    if (pattern.len > REGEX_PATTERN_MAX) {
        snprintf(why, 200, "it is longer than %d bytes", REGEX_PATTERN_MAX);
        return false;
    }
    code = java_regex_compile(pattern, json_is_utf8(pattern) ? PCRE2_UTF : 0, &error, &where);
    if (code == NULL)
        pcre2_get_error_message(error, (PCRE2_UCHAR *)why, 200);
    pcre2_code_free(code);
    return code != NULL;
}
