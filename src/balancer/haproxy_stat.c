/* SPDX-License-Identifier: MIT */
#include "balancer/haproxy_stat.h"

#define COLUMNS_MAX 256

/* A field of a CSV line; quotes around it are dropped, those inside stay doubled: no number has any. */
static bool
next_field(struct str *rest, struct str *out)
{
    size_t end = 1;

    if (rest->at == NULL || !str_starts(*rest, STR("\"")))
        return str_split(rest, ',', out);
    while (end < rest->len && (rest->at[end] != '"' || (end + 1 < rest->len && rest->at[end + 1] == '"')))
        end += rest->at[end] == '"' ? 2 : 1;
    if (end >= rest->len)
        return false; /* no end */
    *out = str_slice(*rest, 1, end);
    *rest = str_slice(*rest, end + 1, rest->len);
    if (rest->len == 0)
        *rest = (struct str){0};
    else if (rest->at[0] == ',')
        *rest = str_slice(*rest, 1, rest->len);
    else
        return false;
    return true;
}

static int
split_line(struct str line, struct str fields[static COLUMNS_MAX])
{
    int count = 0;

    while (count < COLUMNS_MAX && next_field(&line, &fields[count]))
        count++;
    return count;
}

enum { AT_PROXY, AT_SERVER, AT_TYPE, AT_ADDRESS, AT_FIRST, AT_SIZE = AT_FIRST + STAT_SIZE };

static bool
find_columns(struct str header, int at[static AT_SIZE], struct err *err)
{
    static const char *const names[AT_SIZE] = {
        "pxname", "svname", "type", "addr",
#define X(name) #name,
        HAPROXY_STATS(X)
#undef X
    };
    struct str fields[COLUMNS_MAX];
    int count;

    if (!str_starts(header, STR("# ")))
        return err_set(err, ERR_HAPROXY, "HAProxy answered '" STR_FMT "' to show stat",
                       STR_ARG(str_slice(header, 0, 150)));
    count = split_line(str_slice(header, 2, header.len), fields);
    for (int i = 0; i < AT_SIZE; i++) {
        at[i] = -1;
        for (int k = 0; k < count && at[i] < 0; k++)
            if (str_is(fields[k], names[i]))
                at[i] = k;
        if (at[i] < 0)
            return err_set(err, ERR_HAPROXY, "HAProxy's statistics have no column '%s'", names[i]);
    }
    return true;
}

static bool
parse_address(struct str text, struct haproxy_stat *row)
{
    const ptrdiff_t colon = str_rindex(text, ':');
    int64_t port;

    if (text.len == 0)
        return true; /* a server by name, or none */
    if (colon < 0 || !str_to_i64(str_slice(text, (size_t)colon + 1, text.len), &port) || port < 0 || port > 65535)
        return false;
    row->port = (int)port;
    row->address = str_slice(text, 0, (size_t)colon);
    if (str_starts(row->address, STR("[")) && str_ends(row->address, STR("]")))
        row->address = str_slice(row->address, 1, row->address.len - 1);
    return true;
}

/* False: not understood. *is_known_out: it is a frontend, a backend or a server. */
static bool
parse_row(struct str line, const int *at, struct haproxy_stat *row, bool *is_known_out)
{
    struct str fields[COLUMNS_MAX];
    const int count = split_line(line, fields);
    int64_t type;

    for (int i = 0; i < AT_SIZE; i++)
        if (at[i] >= count)
            return false;
    if (!str_to_i64(fields[at[AT_TYPE]], &type))
        return false;
    *is_known_out = type >= 0 && type <= 2;
    row->kind = type == 0 ? STAT_FRONTEND : type == 1 ? STAT_BACKEND : STAT_SERVER;
    row->proxy = fields[at[AT_PROXY]];
    row->server = fields[at[AT_SERVER]];
    for (int i = 0; i < STAT_SIZE; i++) {
        const struct str field = fields[at[AT_FIRST + i]];
        if (field.len > 0 && (!str_to_i64(field, &row->value[i]) || row->value[i] < 0))
            return false;
        if (field.len == 0 && i == STAT_scur && *is_known_out)
            return false; /* all have it, and who drains relies on it */
    }
    return row->kind != STAT_SERVER || parse_address(fields[at[AT_ADDRESS]], row);
}

bool
haproxy_parse_stat(struct str answer, haproxy_stat_call *call, void *arg, struct err *err)
{
    struct str rest = answer, line;
    int at[AT_SIZE];

    if (!str_split(&rest, '\n', &line) || !find_columns(line, at, err))
        return line.at != NULL ? false : err_set(err, ERR_HAPROXY, "HAProxy did not answer to show stat");
    while (str_split(&rest, '\n', &line)) {
        struct haproxy_stat row = {0};
        bool is_known;
        if (line.len == 0)
            continue;
        if (!parse_row(line, at, &row, &is_known))
            return err_set(err, ERR_HAPROXY, "HAProxy's row '" STR_FMT "' is not understood",
                           STR_ARG(str_slice(line, 0, 200)));
        if (is_known)
            call(arg, &row);
    }
    return true;
}

int64_t
haproxy_dropped_logs(struct str info)
{
    struct str line;
    int64_t n = 0;

    while (str_split(&info, '\n', &line))
        if (str_starts(line, STR("DroppedLogs: ")) && str_to_i64(str_slice(line, 13, line.len), &n) && n >= 0)
            return n;
    return 0;
}
