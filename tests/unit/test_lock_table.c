/* SPDX-License-Identifier: MIT */
/* Who gets what of the resources that builds lock, and in which order. */
#include <stdio.h>
#include <stdlib.h>
#include "check.h"
#include "io/file.h"
#include "lock_setup.h"

/* "a b" one each; "2:a b c" two of them; several with ';' between. */
struct wish {
    const char *names[3][4];
    struct lock_need needs[3];
    struct lock_claim claim;
    char text[100];
};

static void
read_wish(struct wish *w, const char *owner, const char *text)
{
    struct str rest, need, name;

    *w = (struct wish){.claim = {.owner = owner, .needs = w->needs}};
    snprintf(w->text, sizeof(w->text), "%s", text);
    rest = str_of(w->text);
    while (str_split(&rest, ';', &need)) {
        struct lock_need *n = &w->needs[w->claim.need_count];
        n->names = w->names[w->claim.need_count++];
        n->quantity = 1;
        if (need.len > 2 && need.at[1] == ':') {
            n->quantity = (size_t)(need.at[0] - '0');
            need = str_slice(need, 2, need.len);
        }
        while (str_split(&need, ' ', &name)) {
            ((char *)(uintptr_t)name.at)[name.len] = '\0';
            w->names[w->claim.need_count - 1][n->count++] = name.at;
        }
    }
}

/* What an owner gets: names, or "-". */
static const char *
take_with(struct lock_table *t, const char *owner, const char *text, int64_t priority,
          bool newest_first)
{
    static struct strbuf names;
    struct wish w;

    read_wish(&w, owner, text);
    w.claim.priority = priority;
    w.claim.newest_first = newest_first;
    strbuf_clear(&names);
    return lock_table_take(t, &w.claim, &names) ? strbuf_cstr(&names) : "-";
}

static const char *
take(struct lock_table *t, const char *owner, const char *text)
{
    return take_with(t, owner, text, 0, false);
}

TEST(a_claim_gets_all_that_it_wants_or_waits)
{
    struct lock_table *t = lock_table_new(NULL);

    CHECK_TEXT(take(t, "1", "2:a b c"), "a,b");
    CHECK_TEXT(take(t, "1", "2:a b c"), "a,b");
    CHECK_TEXT(take(t, "2", "2:a b c"), "-");
    CHECK_TEXT(take(t, "3", "c"), "-"); /* the second one is first in line for it */
    CHECK_TEXT(take(t, "4", "d;e"), "d,e");
    lock_table_give(t, "1");
    CHECK_TEXT(take(t, "2", "2:a b c"), "a,b"); /* c was free as well, and the third one got it */
    CHECK_TEXT(take(t, "3", "c"), "c");
    lock_table_give_all(t, "");
    CHECK(try_lock(t, "a", "9"));
    lock_table_free(t);
}

TEST(who_waits_for_two_things_is_not_passed_over_for_ever)
{
    struct lock_table *t = lock_table_new(NULL);

    CHECK_TEXT(take(t, "1", "a"), "a");
    CHECK_TEXT(take(t, "2", "a;b"), "-");
    CHECK_TEXT(take(t, "3", "b"), "-");
    CHECK(!try_lock(t, "b", "4"));
    CHECK_TEXT(take(t, "5", "c"), "c");
    lock_table_give(t, "1");
    CHECK_TEXT(take(t, "2", "a;b"), "a,b");
    lock_table_give(t, "2");
    CHECK_TEXT(take(t, "3", "b"), "b");
    lock_table_free(t);
}

TEST(priority_comes_before_age_and_the_newest_may_come_first)
{
    struct lock_table *t = lock_table_new(NULL);

    CHECK_TEXT(take(t, "1", "a"), "a");
    CHECK_TEXT(take(t, "2", "a"), "-");
    CHECK_TEXT(take_with(t, "3", "a", 0, true), "-");
    CHECK_TEXT(take_with(t, "4", "a", 5, false), "-");
    CHECK_TEXT(take_with(t, "5", "a", 5, false), "-");
    lock_table_give(t, "1");
    CHECK_TEXT(take(t, "4", "a"), "a");
    lock_table_give(t, "4");
    CHECK_TEXT(take(t, "5", "a"), "a");
    lock_table_give(t, "5");
    CHECK_TEXT(take(t, "2", "a"), "-");
    CHECK_TEXT(take(t, "3", "a"), "a");
    lock_table_free(t);
}

TEST(locks_and_places_in_line_are_there_after_a_restart)
{
    char folder[] = "/tmp/naru-locks-XXXXXX";
    cleanup_free char *path = NULL;
    struct lock_table *t;
    struct err err;

    CHECK(mkdtemp(folder) != NULL);
    path = text_format("%s/locks.json", folder);
    t = lock_table_new(path);
    CHECK_TEXT(take(t, "web#1 a", "2:a b"), "a,b");
    CHECK_TEXT(take(t, "web#2 a", "a"), "-");
    CHECK_TEXT(take_with(t, "web#3 a", "a", 1, false), "-");
    lock_table_free(t);
    t = lock_table_new(path);
    CHECK_TEXT(take(t, "web#4 a", "a"), "-");
    CHECK_TEXT(take(t, "web#1 a", "2:a b"), "a,b");
    lock_table_give_all(t, "web#1 ");
    CHECK_TEXT(take(t, "web#2 a", "a"), "-");
    CHECK_TEXT(take(t, "web#3 a", "a"), "a");
    lock_table_free(t);
    CHECK(file_write_atomic(path, STR("[{\"resource\":\"db\",\"owner\":\"web#7 -2\"}]"), 0600, &err));
    t = lock_table_new(path); /* of an earlier version */
    CHECK_TEXT(take(t, "web#8 -2", "db"), "-");
    lock_table_give_all(t, "web#7 ");
    CHECK_TEXT(take(t, "web#8 -2", "db"), "db");
    lock_table_free(t);
    CHECK(file_remove_tree(folder, &err));
}

TEST(who_holds_something_is_not_kept_from_more_by_who_waits_for_it)
{
    struct lock_table *t = lock_table_new(NULL);
    struct wish w;

    CHECK_TEXT(take(t, "p#1 a", "db"), "db");
    CHECK_TEXT(take(t, "q#1 a", "db;printer"), "-");
    CHECK_TEXT(take(t, "r#1 a", "printer"), "-");
    read_wish(&w, "p#1 b", "printer");
    CHECK(lock_table_try(t, &w.claim));
    CHECK_TEXT(take(t, "p#1 b", "printer"), "printer");
    lock_table_give(t, "p#1 b");
    CHECK_TEXT(take(t, "r#1 a", "printer"), "-"); /* who holds nothing waits as ever */
    CHECK_TEXT(take(t, "p#11 a", "printer"), "-");
    lock_table_give_all(t, "p#1 ");
    CHECK_TEXT(take(t, "q#1 a", "db;printer"), "db,printer");
    lock_table_free(t);
}

TEST(needs_of_a_claim_do_not_take_from_each_other_what_they_must_have)
{
    struct lock_table *t = lock_table_new(NULL);
    struct wish w;

    CHECK_TEXT(take(t, "1", "a b;a"), "b,a");
    lock_table_give(t, "1");
    CHECK_TEXT(take(t, "2", "a;2:a b"), "a,b");
    CHECK_TEXT(take(t, "3", "b"), "-");
    lock_table_give(t, "2");
    CHECK_TEXT(take(t, "3", "b"), "b");
    read_wish(&w, "4", "a b;a b");
    CHECK(lock_claim_is_possible(&w.claim));
    read_wish(&w, "4", "a b;a b;a b");
    CHECK(!lock_claim_is_possible(&w.claim));
    read_wish(&w, "4", "3:a b");
    CHECK(!lock_claim_is_possible(&w.claim));
    lock_table_free(t);
}
