/* SPDX-License-Identifier: MIT */
/* steps_scm.c - checkout and git. */
#include "io/file.h"
#include "pipeline/run.h"

static bool
give_map(struct step_call *s, struct map *m)
{
    *s->out = (struct value){.type = V_MAP, .map = m};
    return true;
}

static const struct value *
first_item(const struct map *m, const char *name, const char *member)
{
    const struct value *list = map_find_text(m, name);

    if (list == NULL || list->type != V_LIST || list->list->count == 0 ||
        list->list->at[0].type != V_MAP)
        return NULL;
    return map_find_text(list->list->at[0].map, member);
}

/* [$class: 'GitSCM', branches: [[name: ..]], userRemoteConfigs: [[url: ..]], extensions: [..]] */
static bool
checkout_described(struct step_call *s, const struct map *scm, struct map *to)
{
    struct run *run = s->run;
    const struct value *class_name = map_find_text(scm, "$class");
    const struct value *url = first_item(scm, "userRemoteConfigs", "url");
    const struct value *branch = first_item(scm, "branches", "name");
    const struct value *extensions = map_find_text(scm, "extensions");
    const char *before = run->directory;
    bool ok;

    if (class_name == NULL || class_name->type != V_TEXT ||
        !(str_is(class_name->text, "GitSCM") || str_is(class_name->text, "scmGit")))
        return step_fail(s, "checkout knows 'scm', scmGit(...) and [$class: 'GitSCM', ...]");
    if (url == NULL || first_item(scm, "userRemoteConfigs", "credentialsId") != NULL)
        return step_fail(s, url == NULL ? "checkout needs userRemoteConfigs: [[url: '...']]"
                                        : "checkout with credentialsId is not supported yet");
    for (size_t i = 0;
         extensions != NULL && extensions->type == V_LIST && i < extensions->list->count; i++) {
        const struct value *e = &extensions->list->at[i];
        const struct value *name = e->type == V_MAP ? map_find_text(e->map, "$class") : NULL;
        const struct value *to_dir =
            e->type == V_MAP ? map_find_text(e->map, "relativeTargetDir") : NULL;
        if (name != NULL && str_is(value_to_text(&run->arena, *name), "RelativeTargetDirectory") &&
            to_dir != NULL)
            run->directory = step_path(s, value_to_text(&run->arena, *to_dir));
        else if (name == NULL || !str_is(value_to_text(&run->arena, *name), "CloneOption"))
            run_logf(run, "WARNING: an extension of checkout is not supported and was skipped");
    }
    ok = workspace_git(
        run, s->at, arena_cstr(&run->arena, value_to_text(&run->arena, *url)),
        branch == NULL ? "master" : arena_cstr(&run->arena, value_to_text(&run->arena, *branch)),
        to);
    run->directory = before;
    return ok;
}

static bool
step_checkout(struct step_call *s)
{
    const struct value *scm = step_value(s, "scm");
    struct map *to = arena_alloc(&s->run->arena, sizeof(*to));

    if (!step_needs_workspace(s))
        return false;
    if (scm != NULL && scm->type == V_HOST && scm->host == HOST_SCM)
        return workspace_checkout(s->run, s->at, to) && give_map(s, to);
    if (scm == NULL && map_find_text(s->values, "$class") != NULL)
        return checkout_described(s, s->values, to) && give_map(s, to);
    if (scm == NULL || scm->type != V_MAP)
        return step_fail(s, "checkout needs 'scm' or a description of a repository");
    return checkout_described(s, scm->map, to) && give_map(s, to);
}

static bool
step_git(struct step_call *s)
{
    struct map *to = arena_alloc(&s->run->arena, sizeof(*to));
    struct arena *a = &s->run->arena;

    if (!step_needs_workspace(s))
        return false;
    if (step_value(s, "credentialsId") != NULL)
        return step_fail(s, "git with credentialsId is not supported yet");
    return workspace_git(s->run, s->at, arena_cstr(a, step_text(s, "url", "")),
                         arena_cstr(a, step_text(s, "branch", "master")), to) &&
           give_map(s, to);
}

step_function *
step_scm_find(struct str name)
{
    return str_is(name, "checkout") ? step_checkout : str_is(name, "git") ? step_git : NULL;
}
