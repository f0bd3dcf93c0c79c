/* SPDX-License-Identifier: MIT */
/* Certificates through the JSON protocol, over a real core. */
#include "base/crypto.h"
#include "cert_maker.h"
#include "elb_world.h"

static int
acm(struct world *w, const char *operation, const char *input)
{
    const char *target = arena_format(&test_arena, "CertificateManager.%s", operation);
    struct err err = {0};
    const int status = world_send(w, "acm", "application/x-amz-json-1.1", target, input);

    json_unref(w->answer);
    w->answer = json_parse(str_of(w->body), &err);
    CHECK(w->answer != NULL);
    CHECK(strstr(w->body, "PRIVATE") == NULL); /* whatever is asked */
    core_check(w->core);
    return status;
}

static const char *
quoted(const char *input)
{
    char *text = arena_format(&test_arena, "%s", input);

    for (char *p = text; *p != '\0'; p++)
        *p = *p == '\'' ? '"' : *p;
    return text;
}

static const struct json *
acm_works_at(struct world *w, int line, const char *operation, const char *input)
{
    if (acm(w, operation, quoted(input)) != 200)
        check_fail(__FILE__, line, "%s %s: %s", operation, input, w->body);
    return w->answer;
}
#define acm_works(w, operation, ...) acm_works_at(w, __LINE__, operation, arena_format(&test_arena, __VA_ARGS__))

static void
acm_refused_at(struct world *w, int line, const char *type, const char *message, const char *operation,
               const char *input)
{
    if (acm(w, operation, quoted(input)) == 200)
        check_fail(__FILE__, line, "%s %s works: %s", operation, input, w->body);
    check_equal_text(__FILE__, line, operation, json_get_cstr(w->answer, "__type", ""), type);
    if (strstr(w->body, message) == NULL)
        check_fail(__FILE__, line, "'%s' lacks '%s'", w->body, message);
}
#define acm_refused(w, type, message, operation, ...) \
    acm_refused_at(w, __LINE__, type, message, operation, arena_format(&test_arena, __VA_ARGS__))

static const char *
blob(const char *text)
{
    cleanup(strbuf_done) struct strbuf out = {0};

    base64_encode(&out, str_of(text));
    return arena_format(&test_arena, "%s", strbuf_cstr(&out));
}

static const char *
import_members(const struct made *m)
{
    return arena_format(&test_arena, "'Certificate':'%s','PrivateKey':'%s'", blob(m->certificate),
                        blob(m->private_key));
}

/* A new certificate for the name. Gives its ARN. */
static const char *
import_new(struct world *w, const char *name)
{
    cleanup_cert struct made m = cert_make(&(struct cert_wish){.common_name = name, .rsa_bits = 2048});

    w->now_ms = clock_wall_ms() > w->now_ms ? clock_wall_ms() : w->now_ms + 1;
    acm_works(w, "ImportCertificate", "{%s}", import_members(&m));
    return arena_format(&test_arena, "%s", text_at(w->answer, "CertificateArn"));
}

TEST(a_certificate_is_imported_and_described)
{
    cleanup(world_done) struct world w;
    world_init(&w);
    w.now_ms = clock_wall_ms();
    cleanup_cert struct made ca = cert_make(&(struct cert_wish){.common_name = "root", .is_ca = true});
    cleanup_cert struct made m = cert_make(&(struct cert_wish){
        .common_name = "www.example.com", .names = "DNS:www.example.com,DNS:*.example.com", .issuer = &ca,
        .usages = "digitalSignature", .purposes = "serverAuth"});
    const char *arn;

    acm_works(&w, "ImportCertificate", "{%s,'CertificateChain':'%s','Tags':[{'Key':'team','Value':'a'},{'Key':'b'}]}",
              import_members(&m), blob(ca.certificate));
    arn = arena_format(&test_arena, "%s", text_at(w.answer, "CertificateArn"));
    CHECK(strncmp(arn, "arn:aws:acm:eu-west-1:000000000000:certificate/", 47) == 0 && strlen(arn) == 47 + 36);
    acm_works(&w, "DescribeCertificate", "{'CertificateArn':'%s'}", arn);
    const struct json *c = json_get(w.answer, "Certificate");
    CHECK_TEXT(text_at(c, "CertificateArn"), arn);
    CHECK_TEXT(text_at(c, "DomainName"), "www.example.com");
    CHECK_EQ(json_size(json_get(c, "SubjectAlternativeNames")), 2);
    CHECK_TEXT(text_at(c, "Status"), "ISSUED");
    CHECK_TEXT(text_at(c, "Type"), "IMPORTED");
    CHECK_TEXT(text_at(c, "KeyAlgorithm"), "EC_prime256v1");
    CHECK_TEXT(text_at(c, "SignatureAlgorithm"), "SHA256WITHECDSA");
    CHECK_TEXT(text_at(c, "Subject"), "CN=www.example.com");
    CHECK_TEXT(text_at(c, "Issuer"), "root");
    CHECK_TEXT(text_at(c, "RenewalEligibility"), "INELIGIBLE");
    CHECK_TEXT(text_at(json_get(c, "Options"), "CertificateTransparencyLoggingPreference"), "DISABLED");
    CHECK_TEXT(text_at(json_at(json_get(c, "KeyUsages"), 0), "Name"), "DIGITAL_SIGNATURE");
    CHECK_TEXT(text_at(json_at(json_get(c, "ExtendedKeyUsages"), 0), "OID"), "1.3.6.1.5.5.7.3.1");
    CHECK(json_get(c, "Serial") != NULL && json_size(json_get(c, "InUseBy")) == 0);
    CHECK(json_f64(json_get(c, "NotAfter"), 0) > json_f64(json_get(c, "ImportedAt"), 0));
    CHECK(json_f64(json_get(c, "CreatedAt"), 0) == json_f64(json_get(c, "ImportedAt"), 1));
    acm_works(&w, "GetCertificate", "{'CertificateArn':'%s'}", arn);
    CHECK_TEXT(text_at(w.answer, "Certificate"), m.certificate);
    CHECK_TEXT(text_at(w.answer, "CertificateChain"), ca.certificate);
    acm_works(&w, "ListTagsForCertificate", "{'CertificateArn':'%s'}", arn);
    CHECK_TEXT(text_at(world_item(&w, "Tags", 0), "Value"), "a");
    CHECK(json_get(world_item(&w, "Tags", 1), "Value") == NULL);
    w.now_ms += 2 * 86400000; /* it lasts a day */
    acm_works(&w, "DescribeCertificate", "{'CertificateArn':'%s'}", arn);
    CHECK_TEXT(text_at(json_get(w.answer, "Certificate"), "Status"), "EXPIRED");
}

TEST(another_import_takes_its_place)
{
    cleanup(world_done) struct world w;
    world_init(&w);
    const char *arn = import_new(&w, "a.example");
    const int64_t made_ms = w.core->certificates->created_at_ms;
    cleanup_cert struct made next = cert_make(&(struct cert_wish){.common_name = "b.example", .rsa_bits = 2048});
    cleanup_cert struct made ec = cert_make(&(struct cert_wish){.common_name = "b.example"});
    cleanup_cert struct made nameless = cert_make(&(struct cert_wish){.organisation = "x", .rsa_bits = 2048});

    w.now_ms += 1000;
    acm_works(&w, "AddTagsToCertificate", "{'CertificateArn':'%s','Tags':[{'Key':'k','Value':'v'}]}", arn);
    acm_works(&w, "ImportCertificate", "{'CertificateArn':'%s',%s}", arn, import_members(&next));
    CHECK_TEXT(text_at(w.answer, "CertificateArn"), arn);
    CHECK(w.core->certificates->next == NULL && w.core->certificates->created_at_ms == made_ms);
    CHECK(w.core->certificates->imported_at_ms > made_ms);
    acm_works(&w, "DescribeCertificate", "{'CertificateArn':'%s'}", arn);
    CHECK_TEXT(text_at(json_get(w.answer, "Certificate"), "DomainName"), "b.example");
    acm_works(&w, "ListTagsForCertificate", "{'CertificateArn':'%s'}", arn);
    CHECK_TEXT(text_at(world_item(&w, "Tags", 0), "Key"), "k");
    acm_refused(&w, "InvalidParameterException", "Tagging is not permitted on re-import", "ImportCertificate",
                "{'CertificateArn':'%s',%s,'Tags':[{'Key':'k'}]}", arn, import_members(&next));
    acm_refused(&w, "ValidationException", "it is RSA_2048, not EC_prime256v1", "ImportCertificate",
                "{'CertificateArn':'%s',%s}", arn, import_members(&ec));
    acm_refused(&w, "ValidationException", "must have one", "ImportCertificate", "{'CertificateArn':'%s',%s}", arn,
                import_members(&nameless));
    acm_refused(&w, "ResourceNotFoundException", "Could not find certificate", "ImportCertificate",
                "{'CertificateArn':'%s0',%s}", arn, import_members(&next));
}

TEST(key_usages_stay_when_another_is_imported)
{
    cleanup(world_done) struct world w;
    world_init(&w);
    w.now_ms = clock_wall_ms();
    cleanup_cert struct made both = cert_make(&(struct cert_wish){
        .common_name = "a.example", .usages = "digitalSignature,keyAgreement", .purposes = "serverAuth"});
    cleanup_cert struct made one = cert_make(
        &(struct cert_wish){.common_name = "a.example", .usages = "digitalSignature", .purposes = "serverAuth"});
    cleanup_cert struct made none = cert_make(
        &(struct cert_wish){.common_name = "a.example", .usages = "digitalSignature,keyAgreement"});
    const char *arn;

    acm_works(&w, "ImportCertificate", "{%s}", import_members(&both));
    arn = w.core->certificates->arn;
    acm_refused(&w, "ValidationException", "must have the key usages", "ImportCertificate",
                "{'CertificateArn':'%s',%s}", arn, import_members(&one));
    acm_refused(&w, "ValidationException", "must have the key usages", "ImportCertificate",
                "{'CertificateArn':'%s',%s}", arn, import_members(&none));
}

TEST(bad_imports_are_refused_and_show_nothing_of_a_key)
{
    cleanup(world_done) struct world w;
    world_init(&w);
    w.now_ms = clock_wall_ms();
    cleanup_cert struct made a = cert_make(&(struct cert_wish){.common_name = "a.example"});
    cleanup_cert struct made b = cert_make(&(struct cert_wish){.common_name = "a.example"});
    const char *certificate = blob(a.certificate), *key = blob(b.private_key);
    cleanup(strbuf_done) struct strbuf large = {0};

    acm_refused(&w, "ValidationException", "does not match", "ImportCertificate",
                "{'Certificate':'%s','PrivateKey':'%s'}", certificate, key);
    acm_refused(&w, "SerializationException", "'PrivateKey' must be base64", "ImportCertificate",
                "{'Certificate':'%s','PrivateKey':'not base64'}", certificate);
    acm_refused(&w, "ValidationException", "Value null at 'PrivateKey'", "ImportCertificate", "{'Certificate':'%s'}",
                certificate);
    strbuf_add_cstr(&large, b.private_key);
    while (large.len <= 5120)
        strbuf_add_char(&large, ' ');
    key = blob(strbuf_cstr(&large));
    acm_refused(&w, "ValidationException", "Value at 'PrivateKey' failed to satisfy constraint: Member must have length "
                                           "less than or equal to 5120", "ImportCertificate",
                "{'Certificate':'%s','PrivateKey':'%s'}", certificate, key);
    CHECK(strstr(w.body, "LS0t") == NULL);
    acm_refused(&w, "InvalidTagException", "reserved", "ImportCertificate", "{%s,'Tags':[{'Key':'aws:x'}]}",
                import_members(&a));
    CHECK(w.core->certificates == NULL);
}

TEST(certificates_are_listed_in_pages_and_by_filters)
{
    cleanup(world_done) struct world w;
    world_init(&w);
    const char *first = import_new(&w, "a.example"), *second = import_new(&w, "b.example");
    cleanup_cert struct made ec = cert_make(&(struct cert_wish){
        .common_name = "c.example", .usages = "digitalSignature", .purposes = "clientAuth"});
    const struct json *row;

    acm_works(&w, "ImportCertificate", "{%s}", import_members(&ec));
    acm_works(&w, "ListCertificates", "{}"); /* the short RSA ones, as at Amazon */
    CHECK_EQ(json_size(json_get(w.answer, "CertificateSummaryList")), 2);
    row = world_item(&w, "CertificateSummaryList", 0);
    CHECK_TEXT(text_at(row, "CertificateArn"), first);
    CHECK_TEXT(text_at(row, "DomainName"), "a.example");
    CHECK_TEXT(text_at(row, "Status"), "ISSUED");
    CHECK_TEXT(text_at(row, "Type"), "IMPORTED");
    CHECK_TEXT(text_at(row, "KeyAlgorithm"), "RSA_2048");
    CHECK_TEXT(text_at(row, "RenewalEligibility"), "INELIGIBLE");
    CHECK(!json_get_bool(row, "InUse", true) && !json_get_bool(row, "HasAdditionalSubjectAlternativeNames", true));
    CHECK_TEXT(json_cstr(json_at(json_get(row, "SubjectAlternativeNameSummaries"), 0), ""), "a.example");
    CHECK_TEXT(json_cstr(json_at(json_get(row, "KeyUsages"), 0), ""), "ANY");
    CHECK_TEXT(json_cstr(json_at(json_get(row, "ExtendedKeyUsages"), 0), ""), "NONE");
    acm_works(&w, "ListCertificates", "{'MaxItems':1,'SortBy':'CREATED_AT','SortOrder':'DESCENDING'}");
    CHECK_TEXT(text_at(world_item(&w, "CertificateSummaryList", 0), "CertificateArn"), second);
    acm_works(&w, "ListCertificates", "{'MaxItems':1,'SortBy':'CREATED_AT','SortOrder':'DESCENDING','NextToken':'%s'}",
              text_at(w.answer, "NextToken"));
    CHECK_TEXT(text_at(world_item(&w, "CertificateSummaryList", 0), "CertificateArn"), first);
    CHECK(json_get(w.answer, "NextToken") == NULL);
    acm_works(&w, "ListCertificates", "{'Includes':{'keyTypes':['EC_prime256v1','RSA_4096']}}");
    CHECK_EQ(json_size(json_get(w.answer, "CertificateSummaryList")), 1);
    acm_works(&w, "ListCertificates", "{'Includes':{'keyTypes':['EC_prime256v1'],'keyUsage':['KEY_AGREEMENT']}}");
    CHECK_EQ(json_size(json_get(w.answer, "CertificateSummaryList")), 0);
    acm_works(&w, "ListCertificates", "{'Includes':{'extendedKeyUsage':['NONE']},'CertificateStatuses':['ISSUED']}");
    CHECK_EQ(json_size(json_get(w.answer, "CertificateSummaryList")), 2);
    acm_works(&w, "ListCertificates", "{'CertificateStatuses':['EXPIRED']}");
    CHECK_EQ(json_size(json_get(w.answer, "CertificateSummaryList")), 0);
    acm_refused(&w, "InvalidArgsException", "NextToken", "ListCertificates", "{'NextToken':'x'}");
    acm_refused(&w, "ValidationException", "together", "ListCertificates", "{'SortBy':'CREATED_AT'}");
    w.region = "us-east-1"; /* another region has none of them */
    acm_works(&w, "ListCertificates", "{}");
    CHECK_EQ(json_size(json_get(w.answer, "CertificateSummaryList")), 0);
    acm_refused(&w, "ResourceNotFoundException", "Could not find", "DescribeCertificate", "{'CertificateArn':'%s'}",
                first);
}

TEST(tags_come_and_go)
{
    cleanup(world_done) struct world w;
    world_init(&w);
    const char *arn = import_new(&w, "a.example");
    cleanup(strbuf_done) struct strbuf many = {0};

    acm_works(&w, "AddTagsToCertificate",
              "{'CertificateArn':'%s','Tags':[{'Key':'a','Value':'1'},{'Key':'b','Value':'2'},{'Key':'c'}]}", arn);
    acm_works(&w, "AddTagsToCertificate", "{'CertificateArn':'%s','Tags':[{'Key':'a','Value':'9'}]}", arn);
    /* With a value only the tag of that value, without one whatever it has. */
    acm_works(&w, "RemoveTagsFromCertificate",
              "{'CertificateArn':'%s','Tags':[{'Key':'a','Value':'1'},{'Key':'b'},{'Key':'c','Value':''}]}", arn);
    acm_works(&w, "ListTagsForCertificate", "{'CertificateArn':'%s'}", arn);
    CHECK_EQ(json_size(json_get(w.answer, "Tags")), 1);
    CHECK_TEXT(text_at(world_item(&w, "Tags", 0), "Value"), "9");
    for (int i = 0; i < 50; i++)
        strbuf_addf(&many, "%s{'Key':'k%d'}", i > 0 ? "," : "", i);
    acm_refused(&w, "TooManyTagsException", "at most 50", "AddTagsToCertificate", "{'CertificateArn':'%s','Tags':[%s]}",
                arn, strbuf_cstr(&many));
    acm_refused(&w, "InvalidTagException", "reserved", "RemoveTagsFromCertificate",
                "{'CertificateArn':'%s','Tags':[{'Key':'aws:a'}]}", arn);
    acm_refused(&w, "ValidationException", "regular expression pattern", "AddTagsToCertificate",
                "{'CertificateArn':'%s','Tags':[{'Key':'a','Value':'<b>'}]}", arn);
}

TEST(a_certificate_is_deleted_once)
{
    cleanup(world_done) struct world w;
    world_init(&w);
    const char *arn = import_new(&w, "a.example");

    acm_works(&w, "DeleteCertificate", "{'CertificateArn':'%s'}", arn);
    acm_refused(&w, "ResourceNotFoundException", "Could not find certificate", "DeleteCertificate",
                "{'CertificateArn':'%s'}", arn);
    acm_refused(&w, "InvalidArnException", "not the ARN of a certificate", "GetCertificate",
                "{'CertificateArn':'arn:aws:iam::000000000000:server-certificate/x'}");
    acm_refused(&w, "UnsupportedFeatureException", "RequestCertificate", "RequestCertificate",
                "{'DomainName':'a.example'}");
}
