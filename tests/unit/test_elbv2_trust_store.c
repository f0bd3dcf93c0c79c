/* SPDX-License-Identifier: MIT */
/* Trust stores through the Query protocol, from files of this machine, and listeners that verify by one. */
#include "cert_maker.h"
#include "elb_world.h"
#include "api/elbv2.h"

#include <sys/stat.h>
#include "io/file.h"

#define CREATE "Action=CreateTrustStore&Name=%s&CaCertificatesBundleS3Bucket=my-bucket&CaCertificatesBundleS3Key=%s"
#define MODIFY \
    "Action=ModifyTrustStore&TrustStoreArn=%s&CaCertificatesBundleS3Bucket=my-bucket&CaCertificatesBundleS3Key=%s"
#define HTTPS \
    "Action=CreateListener&LoadBalancerArn=%s&Protocol=HTTPS&Port=8443&DefaultActions.member.1.Type=fixed-response" \
    "&DefaultActions.member.1.FixedResponseConfig.StatusCode=204&Certificates.member.1.CertificateArn=%s"
#define VERIFY "&MutualAuthentication.Mode=verify&MutualAuthentication.TrustStoreArn="

struct place { /* where the buckets are */
    char dir[40];
    struct made root, other, leaf;
};

static void
write_file(const struct place *p, const char *below, const char *content)
{
    struct err err;
    const char *path = arena_format(&test_arena, "%s/%s", p->dir, below);

    CHECK(file_write_atomic(path, str_of(content), 0600, &err));
}

static void
place_init(struct place *p)
{
    struct err err;

    memcpy(p->dir, "/tmp/naru-trust.XXXXXX", sizeof("/tmp/naru-trust.XXXXXX"));
    CHECK(mkdtemp(p->dir) != NULL);
    world_data_dir = p->dir;
    p->root = cert_make(&(struct cert_wish){.common_name = "root", .is_ca = true});
    p->other = cert_make(&(struct cert_wish){.common_name = "other", .is_ca = true});
    p->leaf = cert_make(&(struct cert_wish){.common_name = "leaf", .issuer = &p->root});
    CHECK(file_make_dirs(arena_format(&test_arena, "%s/s3/my-bucket/a", p->dir), 0700, &err));
    write_file(p, "s3/my-bucket/a/ca.pem", p->root.certificate);
    write_file(p, "s3/my-bucket/two.pem",
               arena_format(&test_arena, "%s%s", p->root.certificate, p->other.certificate));
    write_file(p, "s3/my-bucket/leaf.pem", p->leaf.certificate);
    write_file(p, "secret.pem", p->root.certificate);
}

static void
place_done(struct place *p)
{
    struct err err;

    cert_done(&p->root);
    cert_done(&p->other);
    cert_done(&p->leaf);
    CHECK(file_remove_tree(p->dir, &err));
}
#define PLACE                               \
    cleanup(place_done) struct place place; \
    place_init(&place)

/* Makes one of the file; gives its ARN. */
static const char *
create(struct world *w, const char *name, const char *key)
{
    works(w, CREATE, name, key);
    for (const struct trust_store *t = w->core->trust_stores; t != NULL; t = t->next)
        if (strcmp(t->name, name) == 0)
            return arena_format(&test_arena, "%s", t->arn);
    CHECK(false);
    return NULL;
}

static const char *
put_certificate(struct world *w)
{
    cleanup_cert struct made m = cert_make(&(struct cert_wish){.common_name = "a.example"});
    struct certificate *c = mem_new(sizeof(*c));
    const struct event ev = {.type = EVENT_CERTIFICATE_PUT, .certificate_put = {.certificate = c}};

    text_copy(c->arn, sizeof(c->arn), STR("arn:aws:acm:eu-west-1:000000000000:certificate/a"));
    c->facts = json_object();
    json_set(c->facts, "DomainName", json_text("a.example"));
    c->body = json_text(m.certificate);
    c->private_key = json_text(m.private_key);
    world_step(w, &ev);
    return c->arn;
}

TEST(a_trust_store_is_read_from_a_file)
{
    PLACE;
    cleanup(world_done) struct world w;
    world_init(&w);
    const char *arn = create(&w, "clients", "a/ca.pem");
    const struct trust_store *t = core_trust_store(w.core, arn);

    CHECK(says(&w, "<TrustStores><member><Name>clients</Name><TrustStoreArn>arn:aws:elasticloadbalancing:eu-west-1:"
                   "000000000000:truststore/clients/"));
    CHECK(says(&w, "<Status>ACTIVE</Status><NumberOfCaCertificates>1</NumberOfCaCertificates>"
                   "<TotalRevokedEntries>0</TotalRevokedEntries>"));
    CHECK_TEXT(json_cstr(t->bundle, ""), place.root.certificate);
    write_file(&place, "s3/my-bucket/a/ca.pem", "gone"); /* it was read once */
    works(&w, "Action=DescribeTrustStores&TrustStoreArns.member.1=%s", arn);
    CHECK(says(&w, "<NumberOfCaCertificates>1<"));
    refused(&w, "InvalidCaCertificatesBundle", "no certificates in PEM", MODIFY, arn, "a/ca.pem");
    CHECK_TEXT(json_cstr(core_trust_store(w.core, arn)->bundle, ""), place.root.certificate);
    works(&w, "Action=AddTags&ResourceArns.member.1=%s&Tags.member.1.Key=k&Tags.member.1.Value=v", arn);
    works(&w, MODIFY, arn, "two.pem");
    CHECK(says(&w, "<Name>clients<") && says(&w, "<NumberOfCaCertificates>2<"));
    works(&w, "Action=DescribeTags&ResourceArns.member.1=%s", arn); /* they stay */
    CHECK(says(&w, "<Key>k</Key><Value>v</Value>"));
    works(&w, "Action=RemoveTags&ResourceArns.member.1=%s&TagKeys.member.1=k", arn);
    CHECK_EQ(json_size(core_trust_store(w.core, arn)->tags), 0);
    works(&w, "Action=DeleteTrustStore&TrustStoreArn=%s", arn);
    refused(&w, "TrustStoreNotFound", "not found", "Action=DeleteTrustStore&TrustStoreArn=%s", arn);
    refused(&w, "TrustStoreNotFound", "not found", "Action=DescribeTags&ResourceArns.member.1=%s", arn);
    works(&w, "Action=DescribeTrustStores");
    CHECK(says(&w, "<TrustStores/>") || says(&w, "<TrustStores></TrustStores>"));
}

#define ADD(key)                                                                         \
    "Action=AddTrustStoreRevocations&TrustStoreArn=%s&RevocationContents.member.1.S3Bucket=my-bucket" \
    "&RevocationContents.member.1.S3Key=" key
#define DESCRIBE "Action=DescribeTrustStoreRevocations&TrustStoreArn=%s"
#define REMOVE "Action=RemoveTrustStoreRevocations&TrustStoreArn=%s&RevocationIds.member.1=%d"

/* What is behind the Location of the last answer, asked for `later_ms` after it; the status. */
static int
fetch(const struct world *w, int64_t later_ms, struct strbuf *out)
{
    const char *at = strstr(w->body, "<Location>") + strlen("<Location>");
    const struct str all = {at, (size_t)(strchr(at, '<') - at)};
    cleanup_free char *url = str_dup(all);
    char *query = strchr(url, '?');

    CHECK(str_starts(all, STR("http://localhost:4566/naru/truststores/eu-west-1/clients/")));
    *query++ = '\0';
    for (char *p = strstr(query, "amp;"); p != NULL; p = strstr(p, "amp;"))
        memmove(p, p + 4, strlen(p + 4) + 1);
    strbuf_clear(out);
    return elb_content_read(w->api, str_of(url + strlen("http://localhost:4566")), str_of(query), w->now_ms + later_ms, out);
}

TEST(what_is_in_a_trust_store_is_given_for_ten_minutes)
{
    PLACE;
    cleanup(world_done) struct world w;
    cleanup(strbuf_done) struct strbuf text = {0};
    const X509 *const revoked[] = {place.leaf.x};
    cleanup_free char *one = cert_revoke(&place.root, revoked, 1, EVP_sha256(), 0, NID_undef);
    world_init(&w);
    const char *arn = create(&w, "clients", "a/ca.pem");

    write_file(&place, "s3/my-bucket/one.pem", one);
    works(&w, ADD("one.pem"), arn);
    works(&w, "Action=GetTrustStoreRevocationContent&TrustStoreArn=%s&RevocationId=1", arn);
    CHECK_EQ(fetch(&w, 1000, &text), 200);
    CHECK_TEXT(strbuf_cstr(&text), one);
    works(&w, REMOVE, arn, 1);
    refused(&w, "RevocationIdNotFound", "'1' not found",
            "Action=GetTrustStoreRevocationContent&TrustStoreArn=%s&RevocationId=1", arn);
    refused(&w, "ValidationError", "RevocationId", "Action=GetTrustStoreRevocationContent&TrustStoreArn=%s", arn);
    refused(&w, "TrustStoreNotFound", "", "Action=GetTrustStoreCaCertificatesBundle&TrustStoreArn=%sx", arn);
    works(&w, "Action=GetTrustStoreCaCertificatesBundle&TrustStoreArn=%s", arn);
    CHECK_EQ(fetch(&w, 599000, &text), 200);
    CHECK_TEXT(strbuf_cstr(&text), place.root.certificate);
    CHECK_EQ(fetch(&w, 601000, &text), 403);
    CHECK(strstr(strbuf_cstr(&text), "expired") != NULL);
    strstr(w.body, "signature=")[12] ^= 1;
    CHECK_EQ(fetch(&w, 1000, &text), 403);
    CHECK(strstr(strbuf_cstr(&text), "CERTIFICATE") == NULL);
    works(&w, "Action=GetTrustStoreCaCertificatesBundle&TrustStoreArn=%s", arn);
    strstr(w.body, "revocation=")[strlen("revocation=")] = '1';
    CHECK_EQ(fetch(&w, 1000, &text), 403); /* another part than what was signed */
    works(&w, "Action=GetTrustStoreCaCertificatesBundle&TrustStoreArn=%s", arn);
    char *kept = text_dup(w.body);
    works(&w, "Action=DeleteTrustStore&TrustStoreArn=%s", arn);
    free(w.body);
    w.body = kept;
    CHECK_EQ(fetch(&w, 1000, &text), 404);
}

TEST(revocations_are_added_described_and_removed)
{
    PLACE;
    cleanup(world_done) struct world w;
    const X509 *const revoked[] = {place.leaf.x};
    cleanup_free char *one = cert_revoke(&place.root, revoked, 1, EVP_sha256(), 0, NID_undef);
    cleanup_free char *none = cert_revoke(&place.root, NULL, 0, EVP_sha256(), 0, NID_undef);
    world_init(&w);
    const char *arn = create(&w, "clients", "a/ca.pem");

    write_file(&place, "s3/my-bucket/one.pem", one);
    write_file(&place, "s3/my-bucket/none.pem", none);
    works(&w, DESCRIBE, arn);
    CHECK(!says(&w, "<RevocationId>"));
    works(&w, ADD("one.pem") "&RevocationContents.member.1.RevocationType=CRL"
              "&RevocationContents.member.2.S3Bucket=my-bucket&RevocationContents.member.2.S3Key=none.pem", arn);
    CHECK(says(&w, "<RevocationId>1</RevocationId><RevocationType>CRL</RevocationType>"
                   "<NumberOfRevokedEntries>1</NumberOfRevokedEntries>"));
    CHECK(says(&w, "<RevocationId>2</RevocationId><RevocationType>CRL</RevocationType>"
                   "<NumberOfRevokedEntries>0</NumberOfRevokedEntries>"));
    works(&w, "Action=DescribeTrustStores");
    CHECK(says(&w, "<TotalRevokedEntries>1</TotalRevokedEntries>"));
    works(&w, DESCRIBE "&PageSize=1", arn);
    CHECK(says(&w, "<RevocationId>1<") && !says(&w, "<RevocationId>2<") && says(&w, "<NextMarker>1</NextMarker>"));
    works(&w, DESCRIBE "&PageSize=1&Marker=1", arn);
    CHECK(says(&w, "<RevocationId>2<") && !says(&w, "<NextMarker>"));
    works(&w, DESCRIBE "&RevocationIds.member.1=2", arn);
    CHECK(says(&w, "<RevocationId>2<") && !says(&w, "<RevocationId>1<"));
    refused(&w, "RevocationIdNotFound", "'3'", DESCRIBE "&RevocationIds.member.1=3", arn);
    refused(&w, "RevocationIdNotFound", "'3'", REMOVE "&RevocationIds.member.2=3", arn, 1);
    refused(&w, "ValidationError", "marker", DESCRIBE "&Marker=x", arn);
    works(&w, REMOVE, arn, 2);
    works(&w, ADD("none.pem"), arn);
    CHECK(says(&w, "<RevocationId>3<")); /* no number twice */
    works(&w, MODIFY, arn, "two.pem"); /* they stay */
    works(&w, DESCRIBE, arn);
    CHECK(says(&w, "<RevocationId>1<") && !says(&w, "<RevocationId>2<") && says(&w, "<RevocationId>3<"));
}

TEST(what_takes_nothing_back_is_refused)
{
    PLACE;
    cleanup(world_done) struct world w;
    cleanup_free char *foreign = cert_revoke(&place.other, NULL, 0, EVP_sha256(), 0, NID_undef);
    cleanup_free char *none = cert_revoke(&place.root, NULL, 0, EVP_sha256(), 0, NID_undef);
    cleanup_free char *large = mem_new(1100 * 1024);
    world_init(&w);
    const char *arn = create(&w, "clients", "a/ca.pem");

    memset(large, 'x', 1100 * 1024 - 1);
    write_file(&place, "s3/my-bucket/foreign.pem", foreign);
    write_file(&place, "s3/my-bucket/none.pem", none);
    write_file(&place, "s3/my-bucket/large.pem", large);
    refused(&w, "ValidationError", "must be specified", "Action=AddTrustStoreRevocations&TrustStoreArn=%s", arn);
    refused(&w, "TrustStoreNotFound", "not found", ADD("none.pem"),
            "arn:aws:elasticloadbalancing:eu-west-1:000000000000:truststore/none/0123456789abcdef");
    refused(&w, "RevocationContentNotFound", "not found", ADD("nothing.pem"), arn);
    refused(&w, "RevocationContentNotFound", "not found", ADD("../../secret.pem"), arn);
    refused(&w, "InvalidRevocationContent", "invalid", ADD("large.pem"), arn);
    refused(&w, "InvalidRevocationContent", "no revocation lists", ADD("leaf.pem"), arn);
    refused(&w, "InvalidRevocationContent", "not signed", ADD("foreign.pem"), arn);
    refused(&w, "InvalidConfigurationRequest", "S3ObjectVersion", ADD("none.pem") "&RevocationContents.member.1.S3ObjectVersion=1",
            arn);
    refused(&w, "ValidationError", "", ADD("none.pem") "&RevocationContents.member.1.RevocationType=OCSP", arn);
    CHECK(core_trust_store(w.core, arn)->revocations == NULL);
    for (int i = 0; i < 10; i++)
        works(&w, ADD("none.pem"), arn);
    refused(&w, "TooManyTrustStoreRevocationEntries", "10 revocation files", ADD("none.pem"), arn);
}

TEST(what_is_no_bundle_or_not_there_is_refused)
{
    PLACE;
    cleanup(world_done) struct world w;
    cleanup_free char *large = mem_new(600 * 1024);
    world_init(&w);

    refused(&w, "CaCertificatesBundleNotFound", arena_format(&test_arena, "'%s/s3/my-bucket/none.pem'", place.dir), CREATE,
            "x", "none.pem");
    refused(&w, "CaCertificatesBundleNotFound", "cannot be the key", CREATE, "x", "../../secret.pem");
    refused(&w, "CaCertificatesBundleNotFound", "cannot be the key", CREATE, "x", "/a/ca.pem");
    refused(&w, "CaCertificatesBundleNotFound", "no plain file", CREATE, "x", "a");
    refused(&w, "CaCertificatesBundleNotFound", "not the name of a bucket",
            "Action=CreateTrustStore&Name=x&CaCertificatesBundleS3Bucket=..&CaCertificatesBundleS3Key=secret.pem");
    CHECK(symlink("../../secret.pem", arena_format(&test_arena, "%s/s3/my-bucket/link.pem", place.dir)) == 0);
    refused(&w, "CaCertificatesBundleNotFound", "symbolic link", CREATE, "x", "link.pem");
    refused(&w, "InvalidCaCertificatesBundle", "none of a certificate authority", CREATE, "x", "leaf.pem");
    memset(large, '#', 600 * 1024 - 1);
    write_file(&place, "s3/my-bucket/large.pem", large);
    refused(&w, "InvalidCaCertificatesBundle", "larger than", CREATE, "x", "large.pem");
    refused(&w, "InvalidConfigurationRequest", "no versions", CREATE "&CaCertificatesBundleS3ObjectVersion=1", "x",
            "a/ca.pem");
    refused(&w, "ValidationError", "'--'", CREATE, "a--b", "a/ca.pem");
    refused(&w, "ValidationError", "begin or end", CREATE, "-a", "a/ca.pem");
    refused(&w, "ValidationError", "", CREATE, "a23456789012345678901234567890123", "a/ca.pem");
    refused(&w, "ValidationError", "", "Action=CreateTrustStore&Name=x&CaCertificatesBundleS3Bucket=my-bucket");
    refused(&w, "DuplicateTagKeys", "twice", CREATE "&Tags.member.1.Key=a&Tags.member.2.Key=a", "x", "a/ca.pem");
    refused(&w, "ValidationError", "valid trust store ARN", MODIFY, "x", "a/ca.pem");
    CHECK(w.core->trust_stores == NULL);
    create(&w, "x", "a/ca.pem");
    refused(&w, "DuplicateTrustStoreName", "already exists", CREATE, "x", "a/ca.pem");
    for (int i = 1; i < 20; i++)
        create(&w, arena_format(&test_arena, "n%d", i), "a/ca.pem");
    refused(&w, "TooManyTrustStores", "limit of 20", CREATE, "y", "a/ca.pem");
}

TEST(trust_stores_are_described_by_name_by_arn_and_in_pages)
{
    PLACE;
    cleanup(world_done) struct world w;
    world_init(&w);
    const char *one = create(&w, "one", "a/ca.pem"), *two = create(&w, "two", "two.pem");

    works(&w, "Action=DescribeTrustStores&Names.member.1=two");
    CHECK(says(&w, two) && !says(&w, one));
    works(&w, "Action=DescribeTrustStores&TrustStoreArns.member.1=%s", one);
    CHECK(says(&w, one) && !says(&w, two));
    works(&w, "Action=DescribeTrustStores&PageSize=1");
    CHECK(says(&w, one) && !says(&w, "<Name>two") && says(&w, "<NextMarker>"));
    works(&w, "Action=DescribeTrustStores&PageSize=1&Marker=%s", one);
    CHECK(says(&w, two) && !says(&w, "<NextMarker>"));
    refused(&w, "TrustStoreNotFound", "'three'", "Action=DescribeTrustStores&Names.member.1=three");
    refused(&w, "TrustStoreNotFound", "not found", "Action=DescribeTrustStores&TrustStoreArns.member.1=%s0", one);
    refused(&w, "ValidationError", "together", "Action=DescribeTrustStores&Names.member.1=one&TrustStoreArns.member.1=%s", one);
    refused(&w, "ValidationError", "PageSize", "Action=DescribeTrustStores&PageSize=0");
}

TEST(a_listener_verifies_its_clients)
{
    PLACE;
    cleanup(world_done) struct world w;
    prepare(&w);
    const char *trust = create(&w, "clients", "a/ca.pem"), *other = create(&w, "other", "two.pem");
    const char *certificate = put_certificate(&w), *lb = lb_arn(&w), *arn;

    refused(&w, "ValidationError", "A trust store must be specified", HTTPS "&MutualAuthentication.Mode=verify", lb, certificate);
    refused(&w, "TrustStoreNotFound", "not found", HTTPS VERIFY "%s0", lb, certificate, trust);
    refused(&w, "ValidationError", "valid trust store ARN", HTTPS VERIFY "x", lb, certificate);
    refused(&w, "ValidationError", "must be one of", HTTPS "&MutualAuthentication.Mode=on", lb, certificate);
    refused(&w, "ValidationError", "mode 'verify'", HTTPS "&MutualAuthentication.IgnoreClientCertificateExpiry=true", lb,
            certificate);
    works(&w, HTTPS VERIFY "%s", lb, certificate, trust);
    CHECK(says(&w, arena_format(&test_arena,
                                "<MutualAuthentication><Mode>verify</Mode><TrustStoreArn>%s</TrustStoreArn>"
                                "<IgnoreClientCertificateExpiry>false</IgnoreClientCertificateExpiry>"
                                "<TrustStoreAssociationStatus>active</TrustStoreAssociationStatus>"
                                "<AdvertiseTrustStoreCaNames>off</AdvertiseTrustStoreCaNames></MutualAuthentication>",
                                trust)));
    arn = arena_format(&test_arena, "%s", w.core->listeners->arn);
    works(&w, HTTPS VERIFY "%s", lb, certificate, trust); /* the same once more is the same */
    CHECK(says(&w, arn) && w.core->listeners->next == NULL);
    refused(&w, "DuplicateListener", "already exists", HTTPS VERIFY "%s", lb, certificate, other);
    refused(&w, "DuplicateListener", "already exists", HTTPS, lb, certificate);
    refused(&w, "TrustStoreInUse", "in use", "Action=DeleteTrustStore&TrustStoreArn=%s", trust);
    works(&w, "Action=DescribeTrustStoreAssociations&TrustStoreArn=%s", trust);
    CHECK(says(&w, arena_format(&test_arena, "<ResourceArn>%s</ResourceArn>", lb)));
    works(&w, "Action=DescribeTrustStoreAssociations&TrustStoreArn=%s", other);
    CHECK(!says(&w, "<ResourceArn>"));
    works(&w, "Action=ModifyListener&ListenerArn=%s&SslPolicy=ELBSecurityPolicy-TLS13-1-2-2021-06", arn);
    CHECK(says(&w, "<Mode>verify</Mode>")); /* what is not given stays */
    works(&w, "Action=ModifyListener&ListenerArn=%s" VERIFY "%s&MutualAuthentication.IgnoreClientCertificateExpiry=true"
              "&MutualAuthentication.AdvertiseTrustStoreCaNames=on", arn, other);
    works(&w, "Action=DescribeListeners&ListenerArns.member.1=%s", arn);
    CHECK(says(&w, other) && says(&w, ">true</IgnoreClientCertificateExpiry>") && says(&w, ">on</AdvertiseTrustStoreCaNames>"));
    works(&w, "Action=DeleteTrustStore&TrustStoreArn=%s", trust);
    works(&w, "Action=ModifyListenerAttributes&ListenerArn=%s&Attributes.member.1.Key="
              "routing.http.request.x_amzn_mtls_clientcert_subject.header_name&Attributes.member.1.Value=X-Who", arn);
    refused(&w, "InvalidConfigurationRequest", "not built",
            "Action=ModifyListenerAttributes&ListenerArn=%s&Attributes.member.1.Key="
            "routing.http.request.x_amzn_mtls_clientcert.header_name&Attributes.member.1.Value=X-Who", arn);
    works(&w, "Action=ModifyListener&ListenerArn=%s&MutualAuthentication.Mode=off", arn);
    CHECK(says(&w, "<MutualAuthentication><Mode>off</Mode></MutualAuthentication>"));
    works(&w, "Action=ModifyListener&ListenerArn=%s" VERIFY "%s", arn, other);
    works(&w, "Action=ModifyListener&ListenerArn=%s&Protocol=HTTP", arn);
    CHECK(!says(&w, "MutualAuthentication"));
    works(&w, "Action=DeleteTrustStore&TrustStoreArn=%s", other); /* no listener has it any more */
}
