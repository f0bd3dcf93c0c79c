/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "base/clock.h"

#define COLUMNS_MAX 12

int
cli_exit_code(const struct err *err)
{
    switch (err->code) {
    case ERR_USAGE:
        return EXIT_USAGE;
    case ERR_INTERNAL:
    case ERR_UNAVAILABLE:
    case ERR_TIMEOUT:
    case ERR_DOCKER:
    case ERR_HAPROXY:
        return EXIT_INFRASTRUCTURE;
    default:
        return EXIT_ERROR;
    }
}

/* What to do about a fault of the machine. */
static const char *
hint_for(enum err_code code)
{
    switch (code) {
    case ERR_UNAVAILABLE:
        return "is naru running? `naru up` starts it, `naru doctor` says what is wrong";
    case ERR_DOCKER:
    case ERR_HAPROXY:
        return "`naru doctor` says what is wrong";
    default:
        return NULL;
    }
}

int
cli_fail(const struct err *err)
{
    const char *hint = hint_for(err->code);
    /* What has no name of AWS's is mostly of this side: a file that cannot be read. */
    const char *name = err->code == ERR_INTERNAL ? "naru" : err_wire(err->code);

    fflush(stdout);
    fprintf(stderr, "%s%s%s: %s\n", cli_colour_on(stderr, COLOUR_BAD), name,
            cli_colour_on(stderr, COLOUR_NONE), err->message);
    if (hint != NULL)
        fprintf(stderr, "%s\n", hint);
    return cli_exit_code(err);
}

/* ---- options ---- */

static const struct option_row *
row_find(const struct option_row *rows, const char *argument, const char **value_out)
{
    *value_out = NULL;
    for (; rows->name != NULL; rows++) {
        const size_t length = strlen(rows->name);

        if (argument[1] == '-') {
            if (strncmp(argument + 2, rows->name, length) != 0)
                continue;
            if (argument[2 + length] == '\0')
                return rows;
            if (argument[2 + length] == '=') {
                *value_out = argument + 3 + length;
                return rows;
            }
        } else if (rows->letter != '\0' && argument[1] == rows->letter) {
            if (argument[2] != '\0')
                *value_out = argument + 2;
            return rows;
        }
    }
    return NULL;
}

static bool
take_pair(const struct option_row *row, const char *value, struct err *err)
{
    struct json **to = row->target;
    ptrdiff_t equals = str_index(str_of(value), '=');
    cleanup_free char *name = equals > 0 ? str_dup(str_slice(str_of(value), 0, (size_t)equals)) : NULL;

    if (name == NULL)
        return err_set(err, ERR_USAGE, "--%s needs NAME=VALUE, not '%s'", row->name, value);
    if (*to == NULL)
        *to = json_object();
    json_set(*to, name, json_text(value + equals + 1));
    return true;
}

static bool
row_store(const struct option_row *row, const char *value, struct err *err)
{
    int64_t number;

    if (row->kind == OPTION_FLAG) {
        if (value != NULL)
            return err_set(err, ERR_USAGE, "--%s takes no value", row->name);
        *(bool *)row->target = true;
        return true;
    }
    if (value == NULL)
        return err_set(err, ERR_USAGE, "--%s needs a value", row->name);
    if (row->kind == OPTION_TEXT) {
        *(const char **)row->target = value;
        return true;
    }
    if (row->kind == OPTION_PAIR)
        return take_pair(row, value, err);
    if (!str_to_i64(str_of(value), &number) || number < 0)
        return err_set(err, ERR_USAGE, "--%s needs a number, not '%s'", row->name, value);
    *(int64_t *)row->target = number;
    return true;
}

int
options_parse(int argc, char **argv, const struct option_row *rows, bool *wants_help,
              struct err *err)
{
    bool only_positional = false;
    int positional = 0;

    *wants_help = false;
    for (int i = 1; i < argc; i++) {
        char *argument = argv[i];
        const struct option_row *row;
        const char *value;

        if (only_positional || argument[0] != '-' || argument[1] == '\0') {
            argv[1 + positional++] = argument;
            continue;
        }
        if (strcmp(argument, "--") == 0) {
            only_positional = true;
            continue;
        }
        if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
            *wants_help = true;
            continue;
        }
        row = row_find(rows, argument, &value);
        if (row == NULL) {
            err_set(err, ERR_USAGE, "unknown option '%s' (try: naru %s --help)", argument, argv[0]);
            return -1;
        }
        if (value == NULL && row->kind != OPTION_FLAG && i + 1 < argc)
            value = argv[++i];
        if (!row_store(row, value, err))
            return -1;
    }
    return positional;
}

bool
cli_has_keys(const struct client_config *config, const char *data_dir, struct err *err)
{
    cleanup_free char *path = text_format("%s/credentials.json", client_data_dir(data_dir));

    if (config->has_keys)
        return true;
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return err_set(err, ERR_UNAVAILABLE, "no naru is set up in %s", client_data_dir(data_dir));
    return err_set(err, ERR_ACCESS_DENIED,
                   "cannot read %s: run this as its owner, or eval \"$(sudo naru env)\" first",
                   path);
}

struct client *
cli_connect(const char *data_dir, int *status)
{
    struct client_config config;
    struct err err = {0};

    if (!client_config_load(&config, data_dir, &err) || !cli_has_keys(&config, data_dir, &err)) {
        *status = cli_fail(&err);
        return NULL;
    }
    return client_new(&config);
}

/* ---- output ---- */

bool
cli_wants_json(const char *output, struct err *err, bool *out)
{
    if (output != NULL && strcmp(output, "json") != 0 && strcmp(output, "table") != 0)
        return err_set(err, ERR_USAGE, "--output is table or json, not '%s'", output);
    *out = output != NULL && strcmp(output, "json") == 0;
    return true;
}

static void
print_indented(const struct json *value, int depth)
{
    const bool is_array = json_type(value) == JSON_ARRAY;

    if ((!is_array && json_type(value) != JSON_OBJECT) || json_size(value) == 0) {
        cleanup_free char *text = json_format(value);

        fputs(text, stdout);
        return;
    }
    fputs(is_array ? "[\n" : "{\n", stdout);
    if (is_array) {
        for (size_t i = 0; i < json_size(value); i++) {
            printf("%s%*s", i > 0 ? ",\n" : "", 4 * (depth + 1), "");
            print_indented(json_at(value, i), depth + 1);
        }
    } else {
        for (void *it = json_first(value), *first = it; it != NULL; it = json_next(value, it)) {
            cleanup_json struct json *key = json_text(json_key(it));
            cleanup_free char *text = json_format(key);

            printf("%s%*s%s: ", it != first ? ",\n" : "", 4 * (depth + 1), "", text);
            print_indented(json_value(it), depth + 1);
        }
    }
    printf("\n%*s%s", 4 * depth, "", is_array ? "]" : "}");
}

void
cli_print_json(const struct json *value)
{
    print_indented(value, 0);
    putchar('\n');
}

const char *
cli_colour_on(FILE *out, enum cli_colour colour)
{
    static const char *const codes[] = {"\033[0m", "\033[32m", "\033[31m", "\033[2m", "\033[1m"};

    return isatty(fileno(out)) && getenv("NO_COLOR") == NULL ? codes[colour] : "";
}

const char *
cli_colour(enum cli_colour colour)
{
    return cli_colour_on(stdout, colour);
}

struct table {
    size_t columns;
    size_t width[COLUMNS_MAX];
    char **cells;
    size_t count; /* of cells */
};

static void
table_cell(struct table *t, const char *text)
{
    const size_t column = t->count % t->columns;

    t->cells = mem_grow(t->cells, t->count + 1, sizeof(*t->cells));
    t->cells[t->count++] = text_dup(text != NULL && text[0] != '\0' ? text : "-");
    if (strlen(t->cells[t->count - 1]) > t->width[column])
        t->width[column] = strlen(t->cells[t->count - 1]);
}

struct table *
table_new(const char *const *titles)
{
    struct table *t = mem_new(sizeof(*t));

    while (titles[t->columns] != NULL && t->columns < COLUMNS_MAX)
        t->columns++;
    for (size_t i = 0; i < t->columns; i++)
        table_cell(t, titles[i]);
    return t;
}

void
table_add(struct table *t, ...)
{
    va_list cells;

    va_start(cells, t);
    for (size_t i = 0; i < t->columns; i++)
        table_cell(t, va_arg(cells, const char *));
    va_end(cells);
}

void
table_print(const struct table *t, FILE *out)
{
    for (size_t i = 0; i < t->count; i++) {
        const size_t column = i % t->columns;
        const bool is_last = column + 1 == t->columns;

        if (i < t->columns)
            fputs(cli_colour_on(out, COLOUR_DIM), out);
        fprintf(out, "%-*s%s", is_last ? 0 : (int)t->width[column], t->cells[i],
                is_last ? "" : "  ");
        if (i < t->columns)
            fputs(cli_colour_on(out, COLOUR_NONE), out);
        if (is_last)
            fputc('\n', out);
    }
}

void
table_free(struct table *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->count; i++)
        free(t->cells[i]);
    free(t->cells);
    free(t);
}

void
table_print_list(const char *const *titles, const struct json *list,
                 void (*add)(struct table *t, const struct json *item))
{
    struct table *table = table_new(titles);

    for (size_t i = 0; i < json_size(list); i++)
        add(table, json_at(list, i));
    table_print(table, stdout);
    table_free(table);
}

void
progress_begin(struct progress *p)
{
    *p = (struct progress){.started_ms = clock_monotonic_ms()};
}

void
progress_line(struct progress *p, const char *subject, const char *format, ...)
{
    const int64_t elapsed_ms = clock_monotonic_ms() - p->started_ms;
    char text[400], line[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    snprintf(line, sizeof(line), "%-12s %s", subject, text);
    if (strcmp(line, p->last) == 0) /* nothing changed: say nothing */
        return;
    memcpy(p->last, line, sizeof(line));
    printf("%s%4lld.%03lds%s  %s\n", cli_colour(COLOUR_DIM), (long long)(elapsed_ms / 1000),
           (long)(elapsed_ms % 1000), cli_colour(COLOUR_NONE), line);
    fflush(stdout);
}

const char *
arn_tail(const char *arn)
{
    const char *slash = arn != NULL ? strrchr(arn, '/') : NULL;

    return slash != NULL ? slash + 1 : arn;
}
