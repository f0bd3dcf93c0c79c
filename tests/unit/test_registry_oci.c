/* SPDX-License-Identifier: MIT */
/* What the OCI distribution specification 1.1 asks of a registry, sentence by sentence. */
#include "registry_world.h"

TEST(blobs_and_manifests_go_by_sha512_too)
{
    WORLD(w);
    cleanup(http_answer_done) struct http_answer a = {0};
    struct registry_gc gc = {0};
    struct err err = {0};
    const struct str bytes = STR("hashed by the other one");
    cleanup_free char *blob = digest512_of(bytes), *wrong = digest512_of(STR("something else"));
    cleanup_free char *push = text_format("/v2/my-app/blobs/uploads/?digest=%s", blob);
    cleanup_free char *bad = text_format("/v2/my-app/blobs/uploads/?digest=%s", wrong);
    cleanup_free char *there = text_format("/v2/my-app/blobs/%s", blob);

    CHECK_EQ(ask(&w, "POST", bad, bytes, NULL, NULL, &a), 400);
    CHECK_TEXT(error_code(&a), "DIGEST_INVALID");
    CHECK_EQ(ask(&w, "POST", push, bytes, NULL, NULL, &a), 201);
    CHECK_TEXT(header(&a, "Docker-Content-Digest"), blob);
    CHECK_TEXT(header(&a, "Location"), there);
    CHECK_EQ(ask(&w, "GET", there, (struct str){0}, NULL, NULL, &a), 200);
    CHECK(str_equal(strbuf_str(&a.body), bytes));
    CHECK_TEXT(header(&a, "Docker-Content-Digest"), blob);

    cleanup_free char *manifest = manifest_text(blob, bytes.len, blob, bytes.len);
    cleanup_free char *digest = digest512_of(str_of(manifest));
    cleanup_free char *exact = text_format("/v2/my-app/manifests/%s", digest);
    CHECK_EQ(ask(&w, "PUT", exact, str_of(manifest), "Content-Type: " OCI_MANIFEST, NULL, &a), 201);
    CHECK_TEXT(header(&a, "Docker-Content-Digest"), digest);
    CHECK_TEXT(header(&a, "Location"), exact);
    CHECK_EQ(ask(&w, "HEAD", exact, (struct str){0}, NULL, NULL, &a), 200);
    CHECK_TEXT(header(&a, "Docker-Content-Digest"), digest);

    /* What it names is kept, what nobody names goes. */
    cleanup_free char *loose = digest512_of(STR("loose"));
    cleanup_free char *push_loose = text_format("/v2/my-app/blobs/uploads/?digest=%s", loose);
    CHECK_EQ(ask(&w, "POST", push_loose, STR("loose"), NULL, NULL, &a), 201);
    CHECK(registry_collect(w.reg, NULL, 0, 1, clock_wall_ms() + 10000, &gc, &err));
    CHECK_EQ(gc.blobs_removed, 1);
    CHECK_EQ(ask(&w, "GET", there, (struct str){0}, NULL, NULL, &a), 200);
    CHECK_EQ(ask(&w, "DELETE", exact, (struct str){0}, NULL, NULL, &a), 202);
    CHECK_EQ(ask(&w, "GET", exact, (struct str){0}, NULL, NULL, &a), 404);
}
