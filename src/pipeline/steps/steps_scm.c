/* SPDX-License-Identifier: MIT */
/* steps_scm.c - checkout and git. */
#include "io/file.h"
#include "pipeline/run/run.h"

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

static const char *
text_of(struct run *run, const struct value *v)
{
    return v == NULL || v->type == V_NULL ? NULL
                                          : arena_cstr(&run->arena, value_to_text(&run->arena, *v));
}

/* ${NAME} and $NAME of a branch come from the environment, as in Jenkins. */
static const char *
expand(struct run *run, const char *text)
{
    cleanup(strbuf_done) struct strbuf out = {0};
    struct str s = str_of(text);

    for (size_t i = 0; i < s.len;) {
        bool braces = s.at[i] == '$' && i + 1 < s.len && s.at[i + 1] == '{';
        size_t from = i + 1 + braces, end = from;
        struct value v;
        bool found = false;
        while (end < s.len && (s.at[end] == '_' || (s.at[end] >= '0' && s.at[end] <= '9') ||
                               ((s.at[end] | 0x20) >= 'a' && (s.at[end] | 0x20) <= 'z')))
            end++;
        if (s.at[i] == '$' && end > from && (!braces || (end < s.len && s.at[end] == '}')) &&
            run_env_get(run, str_slice(s, from, end), &v, &found) && found) {
            strbuf_add(&out, value_to_text(&run->arena, v));
            i = end + braces;
        } else {
            strbuf_add_char(&out, s.at[i++]);
        }
    }
    return arena_cstr(&run->arena, strbuf_str(&out));
}

/* One extension, while its source is put together. */
struct extension {
    struct step_call *s;
    struct git_source *source;
    const struct map *map;
};

static bool
flag(const struct extension *e, const char *name)
{
    const struct value *v = map_find_text(e->map, name);

    return v != NULL && value_truth(*v);
}

/* The named member, or what stands alone in localBranch('x'). */
static const char *
text(const struct extension *e, const char *name)
{
    const struct value *v = map_find_text(e->map, name);

    return text_of(e->s->run, v != NULL ? v : map_find_text(e->map, "value"));
}

static bool
clone_option(struct extension *e)
{
    const struct value *depth = map_find_text(e->map, "depth");

    e->source->no_tags = flag(e, "noTags");
    if (flag(e, "shallow"))
        e->source->depth = depth != NULL && value_is_integer(*depth) && depth->number > 0 &&
                                   depth->number < INT32_MAX
                               ? (int)depth->number
                               : 1;
    return true;
}

static bool
target_directory(struct extension *e)
{
    const char *directory = text(e, "relativeTargetDir");

    if (directory == NULL)
        return step_fail(e->s, "RelativeTargetDirectory needs relativeTargetDir");
    e->s->run->directory = step_path(e->s, str_of(directory));
    return true;
}

static bool
clean_before(struct extension *e)
{
    e->source->cleans_before = true;
    return true;
}

static bool
clean_after(struct extension *e)
{
    e->source->cleans_after = true;
    return true;
}

static bool
local_branch(struct extension *e)
{
    const char *name = text(e, "localBranch");

    e->source->local_branch = name == NULL ? "**" : name;
    return true;
}

static bool
submodules(struct extension *e)
{
    e->source->has_submodules = !flag(e, "disableSubmodules");
    e->source->is_recursive = flag(e, "recursiveSubmodules");
    return true;
}

static bool
wipe(struct extension *e)
{
    e->source->wipes = true;
    return true;
}

static bool
user_identity(struct extension *e)
{
    e->source->user_name = text(e, "name");
    e->source->user_email = text(e, "email");
    return true;
}

static bool
lfs(struct extension *e)
{
    e->source->has_lfs = true;
    return true;
}

static bool
sparse(struct extension *e)
{
    struct run *run = e->s->run;
    const struct value *paths = map_find_text(e->map, "sparseCheckoutPaths");
    struct value list = value_list(&run->arena);

    for (size_t i = 0; paths != NULL && paths->type == V_LIST && i < paths->list->count; i++) {
        const struct value *one = &paths->list->at[i];
        const char *path = text_of(run, one->type == V_MAP ? map_find_text(one->map, "path") : one);
        if (path != NULL && path[0] != '-')
            list_add(&run->arena, list.list, value_cstr(&run->arena, path));
    }
    e->source->sparse = list.list->count > 0 ? list.list : NULL;
    return true;
}

static bool
merge_before(struct extension *e)
{
    return step_fail(e->s, "the extension PreBuildMerge of checkout is not supported");
}

/* By class or symbol. NULL: what it sets has no meaning here. */
static const struct {
    const char *name;
    bool (*apply)(struct extension *e);
} extensions[] = {
    {"CloneOption", clone_option},
    {"cloneOption", clone_option},
    {"RelativeTargetDirectory", target_directory},
    {"relativeTargetDirectory", target_directory},
    {"CleanBeforeCheckout", clean_before},
    {"cleanBeforeCheckout", clean_before},
    {"CleanCheckout", clean_after},
    {"cleanAfterCheckout", clean_after},
    {"LocalBranch", local_branch},
    {"localBranch", local_branch},
    {"SubmoduleOption", submodules},
    {"submodule", submodules},
    {"WipeWorkspace", wipe},
    {"UserIdentity", user_identity},
    {"userIdentity", user_identity},
    {"GitLFSPull", lfs},
    {"lfs", lfs},
    {"SparseCheckoutPaths", sparse},
    {"sparseCheckoutPaths", sparse},
    {"PreBuildMerge", merge_before},
    {"ScmName", NULL},
    {"PruneStaleBranch", NULL},
    {"pruneStaleBranch", NULL},
    {"PruneStaleTag", NULL},
    {"CheckoutOption", NULL},
    {"checkoutOption", NULL},
    {"IgnoreNotifyCommit", NULL},
    {"DisableRemotePoll", NULL},
    {"MessageExclusion", NULL},
    {"UserExclusion", NULL},
    {"PathRestriction", NULL},
    {"AuthorInChangelog", NULL},
    {"ChangelogToBranch", NULL},
    {"FirstBuildChangelog", NULL},
    {"BuildChooserSetting", NULL},
};

static bool
apply_extension(struct extension *e)
{
    const char *name = text_of(e->s->run, map_find_text(e->map, "$class"));

    for (size_t i = 0; name != NULL && i < ARRAY_COUNT(extensions); i++)
        if (strcmp(name, extensions[i].name) == 0)
            return extensions[i].apply == NULL || extensions[i].apply(e);
    run_logf(e->s->run, "WARNING: the extension '%s' of checkout is not supported and was skipped",
             name == NULL ? "" : name);
    return true;
}

/* [$class: 'GitSCM', branches: [[name: ..]], userRemoteConfigs: [[url: ..]], extensions: [..]] */
static bool
checkout_described(struct step_call *s, const struct map *scm, struct map *to)
{
    struct run *run = s->run;
    const char *class_name = text_of(run, map_find_text(scm, "$class"));
    const char *branch = text_of(run, first_item(scm, "branches", "name"));
    const struct value *list = map_find_text(scm, "extensions");
    const char *before = run->directory;
    struct git_source source = {
        .url = text_of(run, first_item(scm, "userRemoteConfigs", "url")),
        .credential = text_of(run, first_item(scm, "userRemoteConfigs", "credentialsId")),
        .what = branch == NULL ? "master" : expand(run, branch)};
    bool ok = true;

    if (class_name == NULL ||
        (strcmp(class_name, "GitSCM") != 0 && strcmp(class_name, "scmGit") != 0))
        return step_fail(s, "checkout knows 'scm', scmGit(...) and [$class: 'GitSCM', ...]");
    if (source.url == NULL)
        return step_fail(s, "checkout needs userRemoteConfigs: [[url: '...']]");
    if (source.credential != NULL && source.credential[0] == '\0')
        source.credential = NULL;
    /* The build's own repository and branch: the commit that is built, not what came since. */
    if (run->config->git_url != NULL && run->config->commit != NULL &&
        run->config->branch != NULL && strcmp(source.url, run->config->git_url) == 0 &&
        strcmp(source.what, run->config->branch) == 0)
        source.what = run->config->commit;
    for (size_t i = 0; ok && list != NULL && list->type == V_LIST && i < list->list->count; i++) {
        struct extension e = {s, &source, list->list->at[i].map};
        ok = list->list->at[i].type == V_MAP ? apply_extension(&e)
                                             : step_fail(s, "an extension of checkout is a map");
    }
    ok = ok && workspace_git(run, s->at, &source, to);
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
    struct git_source source = {.url = arena_cstr(a, step_text(s, "url", "")),
                                .what =
                                    expand(s->run, arena_cstr(a, step_text(s, "branch", "master"))),
                                .local_branch = "**"};

    if (!step_needs_workspace(s))
        return false;
    if (step_text(s, "credentialsId", "").len > 0)
        source.credential = arena_cstr(a, step_text(s, "credentialsId", ""));
    return workspace_git(s->run, s->at, &source, to) && give_map(s, to);
}

step_function *
step_scm_find(struct str name)
{
    return str_is(name, "checkout") ? step_checkout : str_is(name, "git") ? step_git : NULL;
}
