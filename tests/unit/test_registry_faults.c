/* SPDX-License-Identifier: MIT */
/* test_registry_faults.c - a push, a put, a delete, a collection and a repository's life, in which
 * the Nth call that changes the disk fails or the power goes, for every N. Afterwards the registry
 * opens, is whole to the last byte, has all that was acknowledged and keeps nothing that nobody
 * needs. */
#include "registry_world.h"

#include <stdarg.h>

#include "disk_faults.h"
#include "registry/mirror/replication_internal.h"
#include "registry/verify.h"

#define THERE "eu-north-1"

struct told { /* what a child heard from the registry, in memory that outlives it */
    bool pushed, deleted, created, removed, replicated, archived, lied;
};

struct story {
    struct registry *reg;
    struct told *told;
    char tag[32], content[64], repository[32];
    struct err err;
};

static char *
upload(struct registry *reg, const char *text, struct err *err)
{
    struct upload *u = NULL;
    char *digest = digest_of(str_of(text));
    const size_t half = strlen(text) / 2;

    if (!upload_start(reg, REGION, "my-app", "", &u, err))
        return digest;
    if (!upload_add(reg, u, (struct str){text, half}, err) ||
        !upload_add(reg, u, str_of(text + half), err))
        upload_discard(reg, u);
    else if (!upload_finish(reg, u, str_of(digest), err))
        CHECK(err->message[0] != '\0');
    return digest;
}

static bool
push(struct registry *reg, const char *tag, const char *content, struct err *err)
{
    cleanup_free char *config_text = text_format("{\"made\":\"%s\"}", content);
    cleanup_free char *config = upload(reg, config_text, err);
    cleanup_free char *layer = upload(reg, content, err);
    cleanup_free char *manifest =
        manifest_text(config, strlen(config_text), layer, strlen(content));
    char digest[REGISTRY_DIGEST_SIZE];
    const struct registry_put put = {.manifest = str_of(manifest), .tag = tag};

    return registry_manifest_put(reg, REGION, "my-app", &put, digest, err);
}

/* ---- the stories ---- */

static void
tell_push(struct story *s)
{
    s->told->pushed = push(s->reg, s->tag, s->content, &s->err);
}

static void
tell_retag(struct story *s)
{
    s->told->pushed = push(s->reg, "latest", s->content, &s->err);
}

static void
tell_delete(struct story *s)
{
    s->told->deleted = registry_image_delete(s->reg, REGION, "my-app", s->tag, NULL, &s->err);
}

static void
tell_archive(struct story *s)
{
    s->told->archived =
        registry_image_archive(s->reg, REGION, "my-app", s->tag, clock_wall_ms(), &s->err);
}

/* Back from there, by a client who has seen that the layers are here. */
static void
tell_restore(struct story *s)
{
    cleanup_free char *config_text = text_format("{\"made\":\"%s\"}", s->content);
    cleanup_free char *config = digest_of(str_of(config_text)), *layer = digest_of(str_of(s->content));
    cleanup_free char *manifest =
        manifest_text(config, strlen(config_text), layer, strlen(s->content));
    char digest[REGISTRY_DIGEST_SIZE];
    const struct registry_put put = {.manifest = str_of(manifest), .tag = s->tag};

    s->told->pushed = registry_manifest_put(s->reg, REGION, "my-app", &put, digest, &s->err);
}

static void
tell_collect(struct story *s)
{
    struct registry_gc gc;

    if (!registry_collect(s->reg, NULL, 0, 1, clock_wall_ms() + 10000, &gc, &s->err))
        CHECK(s->err.message[0] != '\0');
}

static void
tell_repository(struct story *s)
{
    s->told->created = registry_repository_create(s->reg, REGION, s->repository, NULL, &s->err);
    if (!s->told->created)
        return;
    s->told->removed = registry_repository_delete(s->reg, REGION, s->repository, /* force= */ true, &s->err);
    /* Unless a power cut may yet bring it back. */
    s->told->lied = !s->told->removed && !repository_check(s->reg, REGION, s->repository, NULL) &&
                    strstr(s->err.message, "flush") == NULL;
}

static void
tell_replicate(struct story *s)
{
    struct replica image = {.region = REGION, .repository = "my-app"};

    s->told->replicated =
        registry_resolve(s->reg, REGION, "my-app", "stays", image.digest, &s->err) &&
        replica_link(s->reg, &image, THERE, &s->err);
}

/* ---- before and after ---- */

static struct registry *
open_registry(const char *dir)
{
    struct err err = {0};
    struct registry *reg = registry_open(dir, ACCOUNT, REGION, &err);

    CHECK_TEXT(err.message, "");
    return reg;
}

static bool
is_there(struct registry *reg, const char *tag)
{
    char digest[REGISTRY_DIGEST_SIZE];
    return registry_resolve(reg, REGION, "my-app", tag, digest, NULL);
}

static bool
is_archived(struct registry *reg, const char *tag)
{
    char digest[REGISTRY_DIGEST_SIZE];

    return registry_resolve(reg, REGION, "my-app", tag, digest, NULL) &&
           image_is_archived(reg, REGION, "my-app", str_of(digest));
}

static void
fail_on_problem(void *arg, const struct registry_problem *p)
{
    printf("%s: %s: %s\n", (const char *)arg, p->kind, p->what);
}

static struct registry_verify
check_whole(const char *dir, char *when)
{
    const struct registry_verify_options options = {.problem = fail_on_problem, .arg = when};
    struct registry_verify result;
    struct err err = {0};

    CHECK(registry_verify(dir, &options, &result, &err));
    if (result.problems != 0)
        printf("after %s\n", when);
    CHECK_EQ(result.problems, 0);
    return result;
}

/* Each image of these stories is three blobs of its own. */
static void
check_no_orphans(const char *dir, struct registry *reg, char *when)
{
    struct registry_gc gc;
    struct err err = {0};

    upload_expire(reg, 0); /* one that was cut off can go on; here nobody comes back */
    CHECK(registry_collect(reg, NULL, 0, 1, clock_wall_ms() + 10000, &gc, &err));
    const struct registry_verify r = check_whole(dir, when);
    CHECK_EQ(r.blobs, 3 * r.images);
    CHECK_EQ(r.links, 2 * r.images);
    cleanup_free char *uploads = text_format("%s/blobs/uploads", dir);
    CHECK_EQ(files_below(uploads), 0);
}

static void
check_told(struct registry *reg, const struct story *s, void (*tell)(struct story *s))
{
    CHECK(is_there(reg, "stays"));
    CHECK(is_there(reg, "latest"));
    if (s->told->pushed && tell == tell_push)
        CHECK(is_there(reg, s->tag));
    if (s->told->pushed && tell == tell_retag) {
        cleanup(strbuf_done) struct strbuf bytes = {0};
        char digest[REGISTRY_DIGEST_SIZE];
        struct err err = {0};
        cleanup_free char *layer = digest_of(str_of(s->content));
        CHECK(registry_manifest_get(reg, REGION, "my-app", "latest", &bytes, digest, NULL, &err));
        CHECK(str_find(strbuf_str(&bytes), str_of(layer)) >= 0);
    }
    if (tell == tell_archive || tell == tell_restore)
        CHECK(is_there(reg, s->tag));
    if (s->told->archived)
        CHECK(is_archived(reg, s->tag));
    if (s->told->pushed && tell == tell_restore)
        CHECK(!is_archived(reg, s->tag));
    if (s->told->deleted)
        CHECK(!is_there(reg, s->tag));
    if (s->told->replicated) {
        char digest[REGISTRY_DIGEST_SIZE];
        CHECK(registry_resolve(reg, THERE, "my-app", "stays", digest, NULL));
    }
    if (s->told->created && !s->told->removed)
        CHECK(repository_check(reg, REGION, s->repository, NULL) || tell == tell_repository);
    if (s->told->removed)
        CHECK(!repository_check(reg, REGION, s->repository, NULL));
    CHECK(!s->told->lied);
}

/* Away with what the story left, so that the next one begins as this one did. */
static void
tidy(struct registry *reg, const struct story *s)
{
    cleanup_json struct json *images = NULL;
    struct err err = {0};

    if (is_there(reg, s->tag))
        CHECK(registry_image_delete(reg, REGION, "my-app", s->tag, NULL, &err));
    CHECK(registry_images(reg, REGION, "my-app", &images, &err));
    for (size_t i = 0; i < json_size(images); i++)
        if (json_size(json_get(json_at(images, i), "tags")) == 0)
            CHECK(registry_image_delete(reg, REGION, "my-app",
                                        json_get_cstr(json_at(images, i), "digest", ""), NULL,
                                        &err));
    if (repository_check(reg, REGION, s->repository, NULL))
        CHECK(registry_repository_delete(reg, REGION, s->repository, true, &err));
    if (repository_check(reg, THERE, "my-app", NULL))
        CHECK(registry_repository_delete(reg, THERE, "my-app", true, &err));
}

/* Runs the story in a child. Gives the calls that it made, or -1 where the fault ended it. */
static long
run_child(const char *dir, struct story *s, void (*tell)(struct story *s), enum fault fault,
          long at, int error)
{
    int status;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        s->reg = open_registry(dir);
        faults_arm(fault, at, error);
        tell(s);
        faults->counts = false;
        registry_close(s->reg);
        fflush(stdout);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == FAULTS_DIED));
    return WEXITSTATUS(status) == 0 ? faults->calls : -1;
}

static const struct way {
    const char *name;
    enum fault fault;
    enum lost lost;
    int error;
} ways[] = {
    {"an I/O error", FAULT_FAILS, LOST_NOTHING, EIO},
    {"a full disk", FAULT_FAILS, LOST_NOTHING, ENOSPC},
    {"a kill", FAULT_DIES, LOST_NOTHING, 0},
    {"a power cut that loses all names", FAULT_DIES, LOST_ALL, 0},
    {"a power cut that loses the last name", FAULT_DIES, LOST_LAST, 0},
    {"a power cut that loses the last two names", FAULT_DIES, LOST_LAST_TWO, 0},
    {"a power cut that loses the first name", FAULT_DIES, LOST_FIRST, 0},
    {"a power cut that loses records of images", FAULT_DIES, LOST_RECORDS, 0},
};

/* One run of the story; false: it came to its end before the fault's turn. */
static bool
run_once(const char *dir, struct told *told, const char *name, void (*tell)(struct story *s),
         const struct way *way, long at)
{
    struct story s = {.told = told};
    struct err err = {0};
    char when[160];

    snprintf(s.tag, sizeof s.tag, "v-%ld", at);
    snprintf(s.content, sizeof s.content, "%s, %s at %ld", name, way->name, at);
    snprintf(s.repository, sizeof s.repository, "r-%ld", at);
    snprintf(when, sizeof when, "%s of a %s at call %ld", way->name, name, at);
    *told = (struct told){0};
    if (tell == tell_delete || tell == tell_collect || tell == tell_archive || tell == tell_restore) {
        struct registry *before = open_registry(dir);
        CHECK(push(before, s.tag, s.content, &err));
        if (tell == tell_collect)
            CHECK(registry_image_delete(before, REGION, "my-app", s.tag, NULL, &err));
        if (tell == tell_restore)
            CHECK(registry_image_archive(before, REGION, "my-app", s.tag, clock_wall_ms(), &err));
        registry_close(before);
    }
    const long calls = run_child(dir, &s, tell, way->fault, at, way->error);
    faults_power_cut(way->lost); /* at the end, too: what was told is there */
    struct registry *reg = open_registry(dir);
    check_whole(dir, when);
    check_told(reg, &s, tell);
    tidy(reg, &s);
    check_no_orphans(dir, reg, when);
    cleanup_free char *left = repository_path(reg, REGION, s.repository, NULL);
    CHECK(!file_exists(left));
    registry_close(reg);
    return calls < 0 || calls >= at;
}

/* Every call fails once and dies twice, by turns in each way; with NARU_FAULTS_ALL, in every way.
 */
static void
run_ways(const char *dir, struct told *told, const char *name, void (*tell)(struct story *s),
         long calls_min)
{
    const bool all = getenv("NARU_FAULTS_ALL") != NULL;
    bool goes_on = true;
    long at = 0;

    while (goes_on) {
        goes_on = false;
        at++;
        for (size_t i = 0; i < ARRAY_COUNT(ways); i++) {
            const bool is_its_turn = i < 2 ? at % 2 == (long)i : at % 5 == (long)i - 2;
            if (ways[i].lost == LOST_RECORDS && tell != tell_retag)
                continue; /* a new tag without a record is no tag; one that moves may not come to that */
            if (all || is_its_turn || ways[i].lost == LOST_RECORDS)
                goes_on |= run_once(dir, told, name, tell, &ways[i], at);
        }
    }
    CHECK(at > calls_min);
}

static void
run_all(const char *name, void (*tell)(struct story *s), long calls_min)
{
    /* What a flush means is in the books of disk_faults.h, so memory will do. */
    char dir[32], keep[64];
    struct told *told =
        mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct err err = {0};

    snprintf(dir, sizeof dir, "%s/naru-faults-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    CHECK(mkdtemp(dir) != NULL && told != MAP_FAILED);
    snprintf(keep, sizeof keep, "%s/keep", dir);
    CHECK(mkdir(keep, 0700) == 0);
    faults_init(keep);
    struct registry *reg = open_registry(dir);
    CHECK(registry_repository_create(reg, REGION, "my-app", NULL, &err));
    CHECK(push(reg, "stays", "what was there before", &err));
    CHECK(push(reg, "latest", "the first of that name", &err));
    registry_close(reg);
    run_ways(dir, told, name, tell, calls_min);
    munmap(told, sizeof *told);
    munmap(faults, sizeof *faults);
    faults = NULL;
    CHECK(file_remove_tree(dir, &err));
}

TEST(a_push_is_whole_or_not_there)
{
    run_all("push", tell_push, 30);
}

TEST(a_tag_names_what_it_named_or_what_it_shall_name)
{
    run_all("retag", tell_retag, 30);
}

TEST(a_delete_leaves_no_name_that_leads_nowhere)
{
    run_all("delete", tell_delete, 3);
}

TEST(an_image_is_archived_or_not_and_never_lost)
{
    run_all("trip to the archive", tell_archive, 3);
    run_all("trip back from the archive", tell_restore, 8);
}

TEST(a_collection_takes_only_what_nobody_needs)
{
    run_all("collection", tell_collect, 3);
}

TEST(a_repository_is_there_or_not)
{
    run_all("repository", tell_repository, 10);
}

TEST(an_image_comes_to_another_region_whole_or_not)
{
    run_all("replication", tell_replicate, 10);
}

/* ---- what cannot be read ---- */

TEST(a_folder_that_breaks_off_ends_a_collection_before_a_byte_is_removed)
{
    static const char *const folders[] = {"/registry", ("/registry/" REGION), "/my-app/_manifests"};
    REGISTRY(w);
    char when[] = "a folder that breaks off";
    struct err err = {0};

    CHECK(push(w.reg, "stays", "what is there", &err));
    for (size_t i = 0; i < ARRAY_COUNT(folders); i++) {
        struct registry_gc gc;
        faults_unreadable = folders[i];
        CHECK(!registry_collect(w.reg, NULL, 0, 1, clock_wall_ms() + 10000, &gc, &err));
        faults_unreadable = NULL;
        check_whole(w.dir, when);
    }
}

/* As a folder it is there, and cannot be read. */
TEST(a_tag_that_cannot_be_read_keeps_its_image)
{
    REGISTRY(w);
    cleanup_json struct json *images = NULL;
    struct err err = {0};

    CHECK(push(w.reg, "one", "what both name", &err) && push(w.reg, "two", "what both name", &err));
    cleanup_free char *tag = text_format("%s/registry/" REGION "/my-app/_tags/one", w.dir);
    CHECK(unlink(tag) == 0 && mkdir(tag, 0700) == 0);
    CHECK(!registry_image_delete(w.reg, REGION, "my-app", "two", NULL, &err));
    CHECK(!registry_images(w.reg, REGION, "my-app", &images, &err));
    CHECK(is_there(w.reg, "two"));
}

/* Somebody has brought it and given it its name, and has yet to flush that. */
TEST(a_layer_that_was_mounted_is_there_after_a_power_cut)
{
    REGISTRY(w);
    cleanup_free char *keep = text_format("%s/keep", w.dir);
    cleanup_free char *digest = digest_of(STR("a layer"));
    struct upload *u = NULL;
    struct err err = {0};
    bool is_new;

    CHECK(mkdir(keep, 0700) == 0);
    faults_init(keep);
    faults_arm(FAULT_NONE, 0, 0);
    CHECK(upload_start(w.reg, REGION, "my-app", "", &u, &err) && upload_add(w.reg, u, STR("a layer"), &err));
    CHECK(blob_commit(w.reg, u->fd, u->path, u->size, str_of(digest), &is_new, &err) && is_new);
    CHECK(layer_mount(w.reg, REGION, "my-app", str_of(digest), &err));
    faults_power_cut(LOST_ALL);
    CHECK(blob_size(w.reg, str_of(digest), NULL));
    CHECK(layer_is_linked(w.reg, REGION, "my-app", str_of(digest)));
    munmap(faults, sizeof *faults);
    faults = NULL;
}

/* ---- what cannot even be looked at ---- */

/* It leads to itself, so whoever looks at it hears of an error. */
static void
make_blind(const char *path)
{
    CHECK((unlink(path) == 0 || errno == ENOENT) && symlink(path, path) == 0);
}

TEST(an_image_that_cannot_be_looked_at_is_there)
{
    REGISTRY(w);
    char digest[REGISTRY_DIGEST_SIZE];
    cleanup_json struct json *immutable = json_object();
    struct registry_gc gc = {0};
    struct err err = {0};

    json_set(immutable, "imageTagMutability", json_text("IMMUTABLE"));
    CHECK(registry_repository_create(w.reg, REGION, "fixed", immutable, &err));
    CHECK(push(w.reg, "stays", "what is there", &err) && registry_resolve(w.reg, REGION, "my-app", "stays", digest, &err));
    cleanup_free char *record = image_record_path(w.reg, REGION, "my-app", str_of(digest));
    cleanup_free char *fixed = text_format("%s/registry/" REGION "/fixed/_manifests/%s", w.dir, digest + 7);
    cleanup_free char *tag = text_format("%s/registry/" REGION "/fixed/_tags/stays", w.dir);
    cleanup_free char *blob = blob_path(w.reg, str_of(digest));
    CHECK(file_write_atomic(tag, str_of(digest), 0640, &err));
    make_blind(fixed);
    /* Its tag is not free. */
    const struct registry_put put = {.manifest = STR("{}"), .media_type = STR("application/x"), .tag = "stays"};
    CHECK(!registry_manifest_put(w.reg, REGION, "fixed", &put, digest, &err));
    CHECK_EQ(err.code, ERR_IMAGE_TAG_EXISTS);
    /* What it needs is no garbage, as it would be of one that has just been deleted. */
    make_blind(record);
    CHECK_EQ(unlink(blob), 0);
    CHECK(!registry_collect(w.reg, NULL, 0, 1, clock_wall_ms() + 10000, &gc, &err));
    cleanup_free char *layer = digest_of(STR("what is there"));
    CHECK(blob_size(w.reg, str_of(layer), NULL));
}

TEST(a_repository_that_cannot_be_looked_at_is_not_made_anew)
{
    REGISTRY(w);
    struct registry_gc gc = {0};
    struct err err = {0};

    CHECK(push(w.reg, "stays", "what is there", &err));
    registry_close(w.reg);
    w.reg = open_registry(w.dir); /* and has not looked */
    cleanup_free char *description = repository_path(w.reg, REGION, "my-app", "_repository.json");
    make_blind(description);
    CHECK(!registry_repository_create(w.reg, REGION, "my-app", NULL, &err));
    CHECK_EQ(err.code, ERR_REPOSITORY_EXISTS);
    CHECK(registry_collect(w.reg, NULL, 0, 1, clock_wall_ms() + 10000, &gc, &err));
    CHECK_EQ(gc.blobs_removed, 0);
    CHECK(is_there(w.reg, "stays"));
}

static bool
change_nothing(void *arg, struct json *document, struct err *err)
{
    (void)arg, (void)document, (void)err;
    return true;
}

TEST(settings_that_cannot_be_looked_at_are_not_none)
{
    REGISTRY(w);
    cleanup_free char *settings = text_format("%s/registry/" REGION "/_registry.json", w.dir);
    cleanup_free char *quota = repository_path(w.reg, REGION, "my-app", "_quota");
    cleanup_free char *key = text_dup(w.reg->key_path);
    struct registry_quota found;
    struct stat st;
    struct err err = {0};

    make_blind(settings);
    make_blind(quota);
    CHECK(!registry_document_change(w.reg, REGION, change_nothing, NULL, &err));
    CHECK(lstat(settings, &st) == 0 && S_ISLNK(st.st_mode)); /* they are not written over */
    CHECK(!registry_quota_get(w.reg, REGION, "my-app", &found, &err));
    registry_close(TAKE(w.reg));
    make_blind(key);
    CHECK(registry_open(w.dir, ACCOUNT, REGION, &err) == NULL); /* nor is the key that all tokens are signed with */
}
