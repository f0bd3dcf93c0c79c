/* SPDX-License-Identifier: MIT */
#include "cli/aws_output.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "base/clock.h"
#include "cli/cli.h"

/* ---- times ---- */

static bool
is_time_name(const char *name)
{
    static const char *const others[] = {"lastRecordedPullTime", "lastStatusChange", "lastUpdated",
                                         "expirationDate", "Timestamp"};

    if (str_ends(str_of(name), STR("At")))
        return true;
    for (size_t i = 0; i < ARRAY_COUNT(others); i++)
        if (strcmp(others[i], name) == 0)
            return true;
    return false;
}

static struct json *
iso_time(double seconds)
{
    const int64_t ms = (int64_t)(seconds * 1000 + 0.5); /* times are positive */
    const time_t whole = (time_t)(ms / 1000);
    const long micros = (long)(ms % 1000) * 1000;
    cleanup_free char *whole_text = NULL;
    char text[64], zone[16], fraction[16] = "";
    struct tm tm;

    localtime_r(&whole, &tm);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    if (micros > 0)
        snprintf(fraction, sizeof(fraction), ".%06ld", micros);
    snprintf(zone, sizeof(zone), "%c%02d:%02d", tm.tm_gmtoff < 0 ? '-' : '+',
             abs((int)tm.tm_gmtoff) / 3600 % 100, abs((int)tm.tm_gmtoff) / 60 % 60);
    whole_text = text_format("%s%s%s", text, fraction, zone);
    return json_text(whole_text);
}

/* CloudWatch's times of many points. */
static struct json *
iso_times(const struct json *list)
{
    struct json *out = json_array();

    for (size_t i = 0; i < json_size(list); i++)
        json_append(out, iso_time(json_f64(json_at(list, i), (double)json_i64(json_at(list, i), 0))));
    return out;
}

struct json *
aws_with_iso_times(const struct json *answer)
{
    struct json *out;

    if (json_type(answer) == JSON_ARRAY) {
        out = json_array();
        for (size_t i = 0; i < json_size(answer); i++)
            json_append(out, aws_with_iso_times(json_at(answer, i)));
        return out;
    }
    if (json_type(answer) != JSON_OBJECT)
        return json_ref(answer);
    out = json_object();
    for (void *it = json_first(answer); it != NULL; it = json_next(answer, it)) {
        const struct json *value = json_value(it);
        const bool is_number = json_type(value) == JSON_INT || json_type(value) == JSON_REAL;
        const bool is_query_time =
            strcmp(json_key(it), "CreatedTime") == 0 || strcmp(json_key(it), "Expiration") == 0;
        int64_t ms;

        if (is_number && is_time_name(json_key(it)))
            json_set(out, json_key(it), iso_time(json_f64(value, 0)));
        else if (strcmp(json_key(it), "Timestamps") == 0 && json_type(value) == JSON_ARRAY)
            json_set(out, json_key(it), iso_times(value));
        else if (is_query_time && clock_parse_iso(str_of(json_cstr(value, "")), &ms))
            json_set(out, json_key(it), iso_time((double)ms / 1000));
        else
            json_set(out, json_key(it), aws_with_iso_times(value));
    }
    return out;
}

/* ---- text: tabs between scalars, one line a thing, names in capitals in front ---- */

static bool
is_scalar(const struct json *j)
{
    return json_type(j) != JSON_ARRAY && json_type(j) != JSON_OBJECT;
}

/* Scalars as Python prints them, since scripts compare with "None" and "True". */
static char *
scalar_text(const struct json *j)
{
    switch (json_type(j)) {
    case JSON_TEXT:
        return text_dup(json_cstr(j, ""));
    case JSON_NONE:
    case JSON_NULL:
        return text_dup("None");
    case JSON_BOOL:
        return text_dup(json_truth(j, false) ? "True" : "False");
    default:
        return json_format(j);
    }
}

static void
print_capitals(const char *name)
{
    for (; *name != '\0'; name++)
        putchar(*name >= 'a' && *name <= 'z' ? *name - 'a' + 'A' : *name);
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct names {
    const char **list;
    size_t count;
};

static void
names_add(struct names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->list[i], name) == 0)
            return;
    names->list = mem_grow(names->list, names->count + 1, sizeof(*names->list));
    names->list[names->count++] = name;
}

static void
names_of(const struct json *object, bool wants_scalars, struct names *names)
{
    for (void *it = json_first(object); it != NULL; it = json_next(object, it))
        if (is_scalar(json_value(it)) == wants_scalars)
            names_add(names, json_key(it));
}

static void
names_sort(struct names *names)
{
    if (names->count > 0)
        qsort(names->list, names->count, sizeof(*names->list), compare_names);
}

static void print_text(const struct json *value, const char *name, const struct names *columns);

static void
print_text_object(const struct json *object, const char *name, const struct names *columns)
{
    struct names own = {0}, nested = {0};
    bool is_first = true;

    if (columns == NULL) {
        names_of(object, true, &own);
        names_sort(&own);
        columns = &own;
    }
    names_of(object, false, &nested);
    names_sort(&nested);
    if (columns->count > 0) {
        if (name != NULL) {
            print_capitals(name);
            is_first = false;
        }
        for (size_t i = 0; i < columns->count; i++) {
            const struct json *value = json_get(object, columns->list[i]);
            cleanup_free char *text = value != NULL ? scalar_text(value) : text_dup("");

            printf("%s%s", is_first ? "" : "\t", text);
            is_first = false;
        }
        putchar('\n');
    }
    for (size_t i = 0; i < nested.count; i++)
        print_text(json_get(object, nested.list[i]), nested.list[i], NULL);
    free(own.list);
    free(nested.list);
}

static void
print_text_scalars(const struct json *list, const char *name)
{
    bool is_first = true;

    for (size_t i = 0; i < json_size(list); i++) {
        cleanup_free char *text = NULL;

        if (!is_scalar(json_at(list, i)))
            continue;
        text = scalar_text(json_at(list, i));
        if (name != NULL) {
            print_capitals(name);
            printf("\t%s\n", text);
        } else {
            printf("%s%s", is_first ? "" : "\t", text);
        }
        is_first = false;
    }
    if (name == NULL && !is_first)
        putchar('\n');
}

static void
print_text_list(const struct json *list, const char *name)
{
    struct names columns = {0};
    bool has_objects = false;

    for (size_t i = 0; i < json_size(list); i++) {
        has_objects = has_objects || json_type(json_at(list, i)) == JSON_OBJECT;
        names_of(json_at(list, i), true, &columns);
    }
    names_sort(&columns);
    if (!has_objects)
        print_text_scalars(list, name);
    for (size_t i = 0; i < json_size(list); i++)
        if (has_objects || !is_scalar(json_at(list, i)))
            print_text(json_at(list, i), name, has_objects ? &columns : NULL);
    free(columns.list);
}

static void
print_text(const struct json *value, const char *name, const struct names *columns)
{
    cleanup_free char *text = NULL;

    switch (json_type(value)) {
    case JSON_OBJECT:
        print_text_object(value, name, columns);
        return;
    case JSON_ARRAY:
        print_text_list(value, name);
        return;
    default:
        text = scalar_text(value);
        printf("%s\n", text);
        return;
    }
}

/* ---- table: one box a list of objects, nested ones below, indented ---- */

static void
print_grid(const struct json *list, const struct names *columns, int indent)
{
    cleanup_free const char **titles = mem_new((columns->count + 1) * sizeof(*titles));
    cleanup_free size_t *width = mem_new((columns->count + 1) * sizeof(*width));

    for (size_t c = 0; c < columns->count; c++) {
        width[c] = strlen(columns->list[c]);
        for (size_t i = 0; i < json_size(list); i++) {
            cleanup_free char *text = scalar_text(json_get(json_at(list, i), columns->list[c]));

            width[c] = strlen(text) > width[c] ? strlen(text) : width[c];
        }
    }
    for (size_t row = 0; row <= json_size(list); row++) {
        printf("%*s|", indent, "");
        for (size_t c = 0; c < columns->count; c++) {
            cleanup_free char *text =
                row == 0 ? text_dup(columns->list[c])
                         : scalar_text(json_get(json_at(list, row - 1), columns->list[c]));

            printf("  %-*s  |", (int)width[c], text);
        }
        putchar('\n');
        if (row == 0) {
            printf("%*s+", indent, "");
            for (size_t c = 0; c < columns->count; c++) {
                for (size_t k = 0; k < width[c] + 4; k++)
                    putchar('-');
                putchar('+');
            }
            putchar('\n');
        }
    }
}

/* Is it a list of lists of scalars, as `[].[a, b]` makes it? */
static bool
is_matrix(const struct json *value)
{
    if (json_type(value) != JSON_ARRAY || json_size(value) == 0)
        return false;
    for (size_t i = 0; i < json_size(value); i++) {
        if (json_type(json_at(value, i)) != JSON_ARRAY)
            return false;
        for (size_t k = 0; k < json_size(json_at(value, i)); k++)
            if (!is_scalar(json_at(json_at(value, i), k)))
                return false;
    }
    return true;
}

static void
print_matrix(const struct json *rows, int indent)
{
    size_t width[64] = {0};

    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < json_size(rows); i++) {
            const struct json *row = json_at(rows, i);

            if (pass == 1)
                printf("%*s|", indent, "");
            for (size_t k = 0; k < json_size(row) && k < ARRAY_COUNT(width); k++) {
                cleanup_free char *text = scalar_text(json_at(row, k));

                if (pass == 1)
                    printf("  %-*s  |", (int)width[k], text);
                else if (strlen(text) > width[k])
                    width[k] = strlen(text);
            }
            if (pass == 1)
                putchar('\n');
        }
    }
}

static void
print_table(const struct json *value, const char *title, int indent)
{
    struct names columns = {0};
    cleanup_json struct json *rows = NULL;

    if (is_scalar(value)) {
        cleanup_free char *text = scalar_text(value);

        printf("%*s|  %s  |\n", indent, "", text);
        return;
    }
    if (json_type(value) == JSON_OBJECT) {
        rows = json_array();
        json_append(rows, json_ref(value));
    } else {
        rows = json_ref(value);
    }
    printf("%*s%s\n", indent, "", title);
    if (is_matrix(value)) {
        print_matrix(value, indent);
        return;
    }
    for (size_t i = 0; i < json_size(rows); i++)
        names_of(json_at(rows, i), true, &columns);
    if (columns.count > 0)
        print_grid(rows, &columns, indent);
    free(columns.list);
    for (size_t i = 0; i < json_size(rows); i++) {
        const struct json *row = json_at(rows, i);

        if (is_scalar(row) || json_type(row) == JSON_ARRAY)
            print_table(row, title, indent + 2);
        for (void *it = json_first(row); it != NULL; it = json_next(row, it))
            if (!is_scalar(json_value(it)) && json_size(json_value(it)) > 0)
                print_table(json_value(it), json_key(it), indent + 2);
    }
}

void
aws_print(const struct json *value, const char *title, const char *format)
{
    if (json_type(value) == JSON_OBJECT && json_size(value) == 0)
        return;
    if (strcmp(format, "text") == 0)
        print_text(value, NULL, NULL);
    else if (strcmp(format, "table") == 0)
        print_table(value, title, 0);
    else
        cli_print_json(value);
}
