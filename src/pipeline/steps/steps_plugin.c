/* SPDX-License-Identifier: MIT */
/* steps_plugin.c - steps of plugins that have no open protocol: accepted, said in the log to be
 * skipped, never fatal (a block runs its body); publishHTML, which keeps its pages as artifacts;
 * and steps that can not be, which fail by name with what to do instead. */
#include <stdio.h>
#include "io/file.h"
#include "pipeline/steps/selection.h"
#include "pipeline/language/step_table.h"

static bool
step_skip(struct step_call *s)
{
    run_logf(s->run, "Skipped: '" STR_FMT "' is a plugin's step and does nothing here",
             STR_ARG(s->name));
    if (str_is(s->name, "waitForQualityGate")) {
        *s->out = value_map(&s->run->arena);
        map_put_text(&s->run->arena, s->out->map, "status", value_text(STR("OK")));
    }
    return s->body.run == NULL || s->body.run(s->run, s->body.arg, s->out);
}

static bool
step_refuse(struct step_call *s)
{
    static const struct {
        const char *name, *instead;
    } table[] = {
        {"bat", "there is no Windows here; use sh"},
        {"powershell", "there is no Windows here; use sh"},
        {"pwsh", "PowerShell is not run here; use sh 'pwsh ...'"},
        {"podTemplate", "there is no Kubernetes here; use agent { docker 'image' }"},
        {"container", "there is no Kubernetes here; use docker.image('...').inside { }"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(table); i++)
        if (str_is(s->name, table[i].name))
            return interp_throw(s->in, s->at, "UnsupportedFeature", "'%s' is not supported: %s",
                                table[i].name, table[i].instead);
    return step_fail(s, "'" STR_FMT "' is not supported", STR_ARG(s->name));
}

static struct str
member(struct step_call *s, const struct map *m, const char *name, const char *fallback)
{
    const struct value *v = map_find_text(m, name);

    return v == NULL || v->type == V_NULL ? str_of(fallback) : value_to_text(&s->run->arena, *v);
}

/* The pages lie in artifacts/html/<reportName>. */
static bool
step_publish_html(struct step_call *s)
{
    const struct value *target = step_value(s, "target");
    const struct map *m = target != NULL && target->type == V_MAP ? target->map : s->values;
    struct arena *a = &s->run->arena;
    struct str name = member(s, m, "reportName", "HTML Report");
    struct selection sel = {.s = s, .includes = STR("**"), .links = LINKS_FOLLOW};
    const struct value *missing = map_find_text(m, "allowMissing");

    if (!step_needs_workspace(s))
        return false;
    if (name.len == 0 || str_index(name, '/') >= 0 || name.at[0] == '.')
        return step_fail(s, "'" STR_FMT "' is not a usable name of a report", STR_ARG(name));
    USER_ACTS(s->run);
    sel.root = step_path(s, member(s, m, "reportDir", "."));
    if (!selection_find(&sel))
        return false;
    if (sel.found.count == 0)
        return (missing != NULL && value_truth(*missing)) ||
               step_fail(s, "there is no report in '%s'", sel.root);
    for (size_t i = 0; s->run->config->artifact_dir != NULL && i < sel.found.count; i++) {
        struct str file = sel.found.at[i].text;
        if (!step_keep_file(s, arena_format(a, "%s/" STR_FMT, sel.root, STR_ARG(file)),
                            arena_format(a, "%s/html/" STR_FMT "/" STR_FMT,
                                         s->run->config->artifact_dir, STR_ARG(name),
                                         STR_ARG(file))))
            return false;
    }
    run_logf(s->run, "Kept %zu file(s) of the report '" STR_FMT "'", sel.found.count,
             STR_ARG(name));
    return true;
}

/* step([$class: 'ArtifactArchiver', ...]) and its like: those classes that are steps here. */
static bool
step_generic(struct step_call *s)
{
    static const struct {
        const char *class_name, *step;
    } table[] = {
        {"ArtifactArchiver", "archiveArtifacts"},
        {"JUnitResultArchiver", "junit"},
        {"WsCleanup", "cleanWs"},
    };
    const struct value *delegate = step_value(s, "delegate");
    const struct map *m = delegate != NULL && delegate->type == V_MAP ? delegate->map : s->values;
    struct str class_name = member(s, m, "$class", "");
    ptrdiff_t dot = str_rindex(class_name, '.');
    struct map *named = arena_alloc(&s->run->arena, sizeof(*named));

    class_name = str_slice(class_name, dot < 0 ? 0 : (size_t)dot + 1, class_name.len);
    for (size_t i = 0; i < m->count; i++)
        if (m->at[i].key.type == V_TEXT && !str_is(m->at[i].key.text, "$class"))
            map_put(&s->run->arena, named, m->at[i].key, m->at[i].value);
    for (size_t i = 0; i < ARRAY_COUNT(table); i++)
        if (str_is(class_name, table[i].class_name))
            return step_invoke(s->run, s->at, table[i].step, named, NULL, s->out);
    run_logf(s->run, "Skipped: '" STR_FMT "' with the class '" STR_FMT "' does nothing here",
             STR_ARG(s->name), STR_ARG(class_name));
    return s->body.run == NULL || s->body.run(s->run, s->body.arg, s->out);
}

step_function *
step_plugin_find(struct str name)
{
    const struct step_type *type = step_type_find(name);

    if (str_is(name, "publishHTML"))
        return step_publish_html;
    if (str_is(name, "step") || str_is(name, "wrap"))
        return step_generic;
    if (type != NULL && type->kind == STEP_SKIPPED)
        return step_skip;
    return type != NULL && type->kind == STEP_REFUSED ? step_refuse : NULL;
}
