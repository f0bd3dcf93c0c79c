/* SPDX-License-Identifier: MIT */
/* naru lint: Jenkinsfiles checked without running anything of them. */
#include <stdlib.h>
#include "cli/commands.h"
#include "io/file.h"
#include "pipeline/builds_config.h"
#include "pipeline/executors.h"
#include "pipeline/language/label.h"
#include "pipeline/language/needs.h"

#define INPUT_MAX ((size_t)SYNTAX_TEXT_MAX + 1)

struct lint {
    bool explains, is_json;
    struct executor_plan plan; /* which labels this machine has */
    struct json *files;
    bool has_errors;
};

static bool
read_input(const char *name, struct strbuf *out, struct err *err)
{
    char block[4096];
    size_t n;

    if (strcmp(name, "-") != 0)
        return file_read(name, INPUT_MAX, out, err);
    while (out->len < INPUT_MAX && (n = fread(block, 1, sizeof(block), stdin)) > 0)
        strbuf_add(out, (struct str){block, n});
    return ferror(stdin) == 0 || err_errno(err, "cannot read standard input");
}

/* What is not an error for Jenkins before the line is reached. */
static void
add_warnings(const struct need *needs, struct diagnostics *d)
{
    for (const struct need *n = needs; n != NULL; n = n->next) {
        if (n->type == NEED_UNKNOWN)
            diagnostics_add(d, n->line, n->column, "W-UNKNOWN-STEP",
                            "there is no step '" STR_FMT "'%s%s", STR_ARG(n->name),
                            n->note == NULL ? "" : "; ", n->note == NULL ? "" : n->note);
        else if (n->type == NEED_UNSUPPORTED)
            diagnostics_add(d, n->line, n->column, "W-UNSUPPORTED", "'" STR_FMT "': %s",
                            STR_ARG(n->name), n->note);
    }
    diagnostics_sort(d);
}

/* Jenkins would take a malformed expression for one name, which no machine has: the build waits for ever. */
static void
check_labels(const struct lint *l, struct need *needs, struct arena *arena, struct diagnostics *errors)
{
    for (struct need *n = needs; n != NULL; n = n->next) {
        size_t offset;
        struct err err;
        if (!n->is_label)
            continue;
        if (label_parse(n->name, arena, &offset, &err) == NULL)
            diagnostics_add(errors, n->line, n->column + 1 + (unsigned)offset, "E-LABEL", "%s",
                            err.message);
        n->note = executor_plan_has(&l->plan, n->name) ? "a label"
                                                       : "a label that this machine does not have";
    }
    diagnostics_sort(errors);
}

static const char *
heading(enum need_type type)
{
    static const char *const headings[] = {"agents",      "tools",          "commands",
                                           "credentials", "parameters",     "variables read",
                                           "libraries",   "not built here", "unknown steps"};

    return headings[type];
}

static void
print_needs(const char *name, const struct jenkinsfile *j, const struct need *needs)
{
    const struct need *before = NULL;

    printf("%s: a %s pipeline\n", name, j->pipeline != NULL ? "declarative" : "scripted");
    for (const struct need *n = needs; n != NULL; before = n, n = n->next) {
        if (before == NULL || before->type != n->type)
            printf("  %s:\n", heading(n->type));
        printf("    " STR_FMT " (line %u%s", STR_ARG(n->name), n->line,
               n->count > 1 ? " and others" : "");
        if (n->note != NULL)
            printf("; %s", n->note);
        puts(")");
    }
    if (needs == NULL)
        puts("  needs nothing");
}

static void
add_diagnostics(struct json *to, const struct diagnostics *d, const char *severity, struct str text)
{
    for (size_t i = 0; i < d->count && i < DIAGNOSTICS_MAX; i++) {
        struct json *one = json_object();

        json_set(one, "severity", json_text(severity));
        json_set(one, "line", json_int(d->items[i].line));
        json_set(one, "column", json_int(d->items[i].column));
        json_set(one, "code", json_text(d->items[i].code));
        json_set(one, "message", json_text(d->items[i].message));
        json_set(one, "source", json_str(diagnostic_source(text, d->items[i].line)));
        json_append(to, one);
    }
}

static struct json *
needs_json(const struct need *needs)
{
    struct json *all = json_array();

    for (const struct need *n = needs; n != NULL; n = n->next) {
        struct json *one = json_object();

        json_set(one, "type", json_text(need_type_name(n->type)));
        json_set(one, "name", json_str(n->name));
        json_set(one, "line", json_int(n->line));
        json_set(one, "column", json_int(n->column));
        json_set(one, "count", json_int(n->count));
        if (n->note != NULL)
            json_set(one, "note", json_text(n->note));
        json_append(all, one);
    }
    return all;
}

static void
report(struct lint *l, const char *name, struct str text, const struct jenkinsfile *j,
       const struct diagnostics *errors, const struct diagnostics *warnings,
       const struct need *needs)
{
    cleanup(strbuf_done) struct strbuf out = {0};

    if (l->is_json) {
        struct json *file = json_object(), *found = json_array();
        json_set(file, "file", json_text(name));
        json_set(file, "valid", json_bool(j != NULL && errors->count == 0));
        add_diagnostics(found, errors, "error", text);
        add_diagnostics(found, warnings, "warning", text);
        json_set(file, "diagnostics", found);
        if (l->explains && j != NULL) {
            json_set(file, "kind", json_text(j->pipeline != NULL ? "declarative" : "scripted"));
            json_set(file, "needs", needs_json(needs));
        }
        json_append(l->files, file);
        return;
    }
    diagnostics_show(errors, name, "error", text, &out);
    diagnostics_show(warnings, name, "warning", text, &out);
    fputs(strbuf_cstr(&out), stdout);
    if (l->explains && j != NULL)
        print_needs(name, j, needs);
}

static bool
lint_file(struct lint *l, const char *path, struct err *err)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup_free struct diagnostics *errors = mem_new(sizeof(*errors));
    cleanup_free struct diagnostics *warnings = mem_new(sizeof(*warnings));
    const char *name = strcmp(path, "-") == 0 ? "<stdin>" : path;
    struct jenkinsfile *j;
    struct arena arena = {0};
    struct need *needs = NULL;

    if (!read_input(path, &text, err))
        return false;
    j = jenkinsfile_parse(strbuf_str(&text), errors);
    if (j != NULL) {
        needs = needs_find(j, &arena);
        add_warnings(needs, warnings);
        check_labels(l, needs, &arena, errors);
    }
    l->has_errors = l->has_errors || j == NULL || errors->count > 0;
    report(l, name, strbuf_str(&text), j, errors, warnings, needs);
    arena_done(&arena);
    jenkinsfile_free(j);
    return true;
}

/* Without a file, or one that cannot be read, any label is accepted, as by the server. */
static void
read_plan(struct lint *l, const char *data_dir)
{
    struct err err;
    cleanup_json struct json *builds = builds_config_json(data_dir, &err);

    if (!executor_plan_read(&l->plan, builds, &err))
        fprintf(stderr, "warning: %s\n", err.message);
}

int
command_lint(int argc, char **argv)
{
    const char *output = NULL, *data_dir = NULL, *only[] = {"Jenkinsfile"};
    struct lint l = {0};
    const struct option_row rows[] = {
        {"explain", 0, OPTION_FLAG, &l.explains}, {"output", 0, OPTION_TEXT, &output},
        {"data-dir", 0, OPTION_TEXT, &data_dir}, {0}};
    struct err err = {0};
    int status;
    const int count = command_begin(argc, argv, rows, 10000, &status);

    if (count < 0)
        return status;
    if (output != NULL && strcmp(output, "text") == 0)
        output = NULL;
    if (!cli_wants_json(output, &err, &l.is_json))
        return cli_fail(&err);
    l.files = json_array();
    read_plan(&l, client_data_dir(data_dir));
    for (int i = 0; i < (count == 0 ? 1 : count); i++)
        if (!lint_file(&l, count == 0 ? only[0] : argv[i + 1], &err)) {
            json_unref(l.files);
            executor_plan_done(&l.plan);
            cli_fail(&err);
            return EXIT_USAGE; /* 1 would say that the file was read and is wrong */
        }
    if (l.is_json)
        cli_print_json(l.files);
    json_unref(l.files);
    executor_plan_done(&l.plan);
    return l.has_errors ? EXIT_ERROR : EXIT_LIVE;
}
