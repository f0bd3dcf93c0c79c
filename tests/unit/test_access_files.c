/* SPDX-License-Identifier: MIT */
/* Files of access logs: names, turns, what a killed naru left, the budget. */
#include "balancer/access_files.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "check.h"
#include "io/file.h"
#include "model/log_place.h"

#define NOON (INT64_C(1530532800) * 1000)
#define FIVE_MINUTES INT64_C(300000)

struct folder {
    char path[64];
};

static struct folder
folder_new(void)
{
    struct folder f = {"/tmp/naru-access-XXXXXX"};

    CHECK(mkdtemp(f.path) != NULL);
    return f;
}

static void
folder_remove(struct folder *f)
{
    struct err err;

    CHECK(file_remove_tree(f->path, &err));
}

/* What the shell says of the folder. */
static char *
ask(const struct folder *f, const char *command)
{
    cleanup_free char *line = text_format("cd %s && %s", f->path, command);

    return check_shell(line);
}

static struct access_files *
files_of(const struct folder *f, int64_t budget_bytes)
{
    return access_files_new(&(struct access_files_config){
        .root = f->path, .account = "000000000000", .address = "127.0.0.1", .budget_bytes = budget_bytes});
}

static const struct access_place shop = {.region = "ap-northeast-2",
                                         .load_balancer = "app/shop/00112233445566aa",
                                         .bucket = "logs",
                                         .prefix = "team/a"};

TEST(files_are_named_as_amazon_names_its_objects)
{
    cleanup(folder_remove) struct folder folder = folder_new();
    struct access_files *f = files_of(&folder, 1 << 20);
    struct access_place plain = shop;

    plain.prefix = "";
    access_files_write(f, &shop, STR("one\n"), NOON + 60000);
    access_files_write(f, &shop, STR("two\n"), NOON + 61000);
    access_files_write(f, &plain, STR("three\n"), NOON + 61000);
    access_files_free(f);
    cleanup_free char *names = ask(&folder, "find . -type f | sort | sed 's/_[0-9a-f]*.log.gz$/_X.log.gz/'");
    cleanup_free char *text = ask(&folder, "find . -path '*team*' -name '*.gz' -exec zcat {} +");
    CHECK_TEXT(names,
               "./logs/AWSLogs/000000000000/elasticloadbalancing/ap-northeast-2/2018/07/02/"
               "000000000000_elasticloadbalancing_ap-northeast-2_app.shop.00112233445566aa_20180702T1205Z_127.0.0.1_X.log.gz\n"
               "./logs/team/a/AWSLogs/000000000000/elasticloadbalancing/ap-northeast-2/2018/07/02/"
               "000000000000_elasticloadbalancing_ap-northeast-2_app.shop.00112233445566aa_20180702T1205Z_127.0.0.1_X.log.gz\n");
    CHECK_TEXT(text, "one\ntwo\n");
}

TEST(a_file_ends_with_its_five_minutes)
{
    cleanup(folder_remove) struct folder folder = folder_new();
    struct access_files *f = files_of(&folder, 1 << 20);

    access_files_write(f, &shop, STR("one\n"), NOON);
    access_files_turn(f, NOON + FIVE_MINUTES - 1);
    cleanup_free char *before = ask(&folder, "find . -type f -name '.*.log' | wc -l");
    CHECK_TEXT(before, "1\n");
    access_files_turn(f, NOON + FIVE_MINUTES);
    access_files_write(f, &shop, STR("two\n"), NOON + FIVE_MINUTES);
    access_files_free(f);
    cleanup_free char *after = ask(&folder, "find . -type f | sed 's/.*_\\(20[0-9T]*Z\\)_.*gz$/\\1/' | sort");
    CHECK_TEXT(after, "20180702T1205Z\n20180702T1210Z\n");
}

TEST(what_a_killed_naru_left_is_ended)
{
    cleanup(folder_remove) struct folder folder = folder_new();
    cleanup_free char *made =
        ask(&folder, "mkdir -p logs/AWSLogs/x && echo kept > logs/AWSLogs/x/.0_elasticloadbalancing_r_app.l.1_t_a_1.log && "
                     "echo half > logs/AWSLogs/x/0_elasticloadbalancing_r_app.l.1_t_a_2.log.gz.part && "
                     "echo other > logs/AWSLogs/x/notes.txt");

    CHECK_TEXT(made, "");
    access_files_free(files_of(&folder, 1 << 20));
    cleanup_free char *names = ask(&folder, "ls -A logs/AWSLogs/x");
    cleanup_free char *text = ask(&folder, "zcat logs/AWSLogs/x/*.gz");
    CHECK_TEXT(names, "0_elasticloadbalancing_r_app.l.1_t_a_1.log.gz\nnotes.txt\n");
    CHECK_TEXT(text, "kept\n");
}

TEST(the_oldest_files_go_when_the_budget_is_used_up)
{
    cleanup(folder_remove) struct folder folder = folder_new();
    struct access_files *f = files_of(&folder, 100); /* one of about 30 bytes is beside two others */

    for (int i = 0; i < 6; i++) {
        char line[32];
        snprintf(line, sizeof(line), "entry %d\n", i);
        access_files_write(f, &shop, str_of(line), NOON + i * FIVE_MINUTES);
        access_files_turn(f, NOON + (i + 1) * FIVE_MINUTES);
    }
    access_files_free(f);
    cleanup_free char *text = ask(&folder, "find . -name '*.gz' | sort | xargs zcat");
    CHECK_TEXT(text, "entry 3\nentry 4\nentry 5\n");
    access_files_free(files_of(&folder, 40)); /* a smaller budget holds at once */
    cleanup_free char *left = ask(&folder, "find . -name '*.gz' | xargs zcat");
    CHECK_TEXT(left, "entry 5\n");
    access_files_free(files_of(&folder, 1));
    cleanup_free char *nothing = ask(&folder, "find . -mindepth 1 | wc -l");
    CHECK_TEXT(nothing, "0\n"); /* nor empty folders */
}

/* Each is beyond the budget as soon as it is compressed: the first of its folders to go is what the next one waits for,
 * the others go on another thread while it makes them anew. */
TEST(a_folder_that_goes_with_its_last_file_is_there_for_the_next_one)
{
    cleanup(folder_remove) struct folder folder = folder_new();
    struct access_files *f = files_of(&folder, /* budget_bytes= */ 1);
    cleanup_free char *day =
        text_format("%s/logs/team/a/AWSLogs/000000000000/elasticloadbalancing/ap-northeast-2/2018/07/02", folder.path);

    for (int i = 0; i < 20; i++) {
        access_files_write(f, &shop, STR("entry\n"), NOON + i * FIVE_MINUTES);
        access_files_turn(f, NOON + (i + 1) * FIVE_MINUTES);
        while (file_exists(day))
            ;
    }
    CHECK_EQ(access_files_lost(f), 0);
    access_files_free(f);
}

TEST(entries_that_cannot_be_written_are_counted)
{
    cleanup(folder_remove) struct folder folder = folder_new();
    struct access_files *f = files_of(&folder, 1 << 20);
    cleanup_free char *made = ask(&folder, "touch logs"); /* no folder can be made there */

    CHECK_TEXT(made, "");
    access_files_write(f, &shop, STR("one\n"), NOON);
    access_files_write(f, &shop, STR("two\n"), NOON);
    CHECK_EQ(access_files_lost(f), 8);
    access_files_free(f);
}

TEST(buckets_and_prefixes_are_parts_of_paths)
{
    static const char *const good[][2] = {{"abc", ""}, {"my-logs.1", "a"}, {"abc", "a/b-c/(d)"}};
    static const char *const bad[][2] = {
        {"", ""}, {"ab", ""}, {"../x", ""}, {"a/b", ""}, {"a..b", ""}, {"-abc", ""}, {"abc.", ""}, {"ABC", ""},
        {"abc", "/a"}, {"abc", "a/"}, {"abc", "a//b"}, {"abc", ".."}, {"abc", "a/../b"}, {"abc", "xAWSLogs"},
        {"abc", "a b"}, {"abc", "a\nb"}};
    struct err err;

    for (size_t i = 0; i < ARRAY_COUNT(good); i++)
        CHECK(log_place_check(good[i][0], good[i][1], &err));
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        CHECK(!log_place_check(bad[i][0], bad[i][1], &err));
}

TEST(a_key_is_the_path_of_a_file)
{
    static const char *const good[] = {"a", "a/b.pem", ".hidden", "a b/(c)", "\xc3\xa9/..x"};
    static const char *const bad[] = {"", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "../a", "a\nb", "a\x7f"};
    char key[OBJECT_KEY_MAX + 2];
    struct err err;

    for (size_t i = 0; i < ARRAY_COUNT(good); i++)
        CHECK(object_place_check("abc", good[i], &err));
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        CHECK(!object_place_check("abc", bad[i], &err));
    CHECK(!object_place_check("../x", "a", &err));
    memset(key, 'a', sizeof(key));
    for (size_t i = 100; i < sizeof(key); i += 100)
        key[i] = '/';
    key[OBJECT_KEY_MAX] = '\0';
    CHECK(object_place_check("abc", key, &err));
    key[OBJECT_KEY_MAX] = 'a';
    key[OBJECT_KEY_MAX + 1] = '\0';
    CHECK(!object_place_check("abc", key, &err));
    memset(key, 'a', 256);
    key[256] = '\0';
    CHECK(!object_place_check("abc", key, &err)); /* longer than a name of a file */
}
