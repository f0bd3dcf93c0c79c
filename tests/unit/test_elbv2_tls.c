/* SPDX-License-Identifier: MIT */
/* Certificates and security policies of listeners through the Query protocol, over a real core. */
#include "cert_maker.h"
#include "elb_world.h"

#define HTTPS \
    "Action=CreateListener&LoadBalancerArn=%s&Protocol=HTTPS&Port=8443&DefaultActions.member.1.Type=fixed-response" \
    "&DefaultActions.member.1.FixedResponseConfig.StatusCode=204"
#define CERTIFICATE "&Certificates.member.1.CertificateArn="

/* As ImportCertificate makes one. */
static const char *
put_certificate(struct world *w, const char *id, const struct cert_wish *wish)
{
    cleanup_cert struct made m = cert_make(wish);
    struct certificate *c = mem_new(sizeof(*c));
    const struct event ev = {.type = EVENT_CERTIFICATE_PUT, .certificate_put = {.certificate = c}};
    const char *arn = arena_format(&test_arena, "arn:aws:acm:eu-west-1:000000000000:certificate/%s", id);

    text_copy(c->arn, sizeof(c->arn), str_of(arn));
    c->facts = json_object();
    if (wish->common_name != NULL)
        json_set(c->facts, "DomainName", json_text(wish->common_name));
    c->body = json_text(m.certificate);
    c->private_key = json_text(m.private_key);
    world_step(w, &ev);
    return arn;
}

static const char *
put_good(struct world *w, const char *name)
{
    return put_certificate(w, name, &(struct cert_wish){.common_name = name});
}

/* A listener of HTTPS with the certificate; gives its ARN. */
static const char *
prepare_https(struct world *w, const char *certificate)
{
    prepare(w);
    put_good(w, certificate);
    works(w, HTTPS CERTIFICATE "arn:aws:acm:eu-west-1:000000000000:certificate/%s", lb_arn(w), certificate);
    return arena_format(&test_arena, "%s", w->core->listeners->arn);
}

TEST(an_https_listener_has_a_certificate_and_a_policy)
{
    cleanup(world_done) struct world w;
    const char *arn = prepare_https(&w, "a.example");

    CHECK(says(&w, "<Protocol>HTTPS</Protocol>") && says(&w, "<SslPolicy>ELBSecurityPolicy-2016-08</SslPolicy>"));
    CHECK(says(&w, "<Certificates><member><CertificateArn>arn:aws:acm:eu-west-1:000000000000:certificate/a.example"
                   "</CertificateArn></member></Certificates>"));
    CHECK(says(&w, "<MutualAuthentication><Mode>off</Mode></MutualAuthentication>"));
    works(&w, HTTPS CERTIFICATE "arn:aws:acm:eu-west-1:000000000000:certificate/a.example&MutualAuthentication.Mode=off",
          lb_arn(&w));
    CHECK(says(&w, arn) && w.core->listeners->next == NULL); /* the same once more is the same */
    refused(&w, "DuplicateListener", "already exists", HTTPS CERTIFICATE "%s&SslPolicy=ELBSecurityPolicy-TLS13-1-3-2021-06",
            lb_arn(&w), "arn:aws:acm:eu-west-1:000000000000:certificate/a.example");
    works(&w, "Action=ModifyListener&ListenerArn=%s&SslPolicy=ELBSecurityPolicy-TLS13-1-3-2021-06", arn);
    CHECK(says(&w, "<SslPolicy>ELBSecurityPolicy-TLS13-1-3-2021-06</SslPolicy>") && says(&w, "a.example"));
    works(&w, "Action=ModifyListener&ListenerArn=%s" CERTIFICATE "%s", arn, put_good(&w, "b.example"));
    CHECK(says(&w, "b.example") && !says(&w, "a.example") && says(&w, "TLS13-1-3-2021-06"));
    works(&w, "Action=ModifyListener&ListenerArn=%s&Protocol=HTTP", arn);
    CHECK(says(&w, "<Protocol>HTTP</Protocol>") && !says(&w, "SslPolicy") && !says(&w, "b.example"));
    refused(&w, "ValidationError", "A certificate must be specified", "Action=ModifyListener&ListenerArn=%s&Protocol=HTTPS",
            arn);
    works(&w, "Action=ModifyListener&ListenerArn=%s&Protocol=HTTPS" CERTIFICATE "%s", arn, put_good(&w, "c.example"));
    works(&w, "Action=DescribeListeners&ListenerArns.member.1=%s", arn);
    CHECK(says(&w, "ELBSecurityPolicy-2016-08") && says(&w, "c.example"));
}

TEST(what_no_listener_can_have_is_refused)
{
    cleanup(world_done) struct world w;
    prepare(&w);
    const char *a = put_good(&w, "a.example"), *lb = lb_arn(&w);

    refused(&w, "ValidationError", "A certificate must be specified", HTTPS, lb);
    refused(&w, "ValidationError", "exactly one default certificate",
            HTTPS CERTIFICATE "%s&Certificates.member.2.CertificateArn=%s", lb, a, a);
    refused(&w, "ValidationError", "isDefault", HTTPS CERTIFICATE "%s&Certificates.member.1.IsDefault=true", lb, a);
    refused(&w, "CertificateNotFound", "not found", HTTPS CERTIFICATE "%s0", lb, a);
    refused(&w, "CertificateNotFound", "not found", HTTPS CERTIFICATE "arn:aws:iam::000000000000:server-certificate/x", lb);
    refused(&w, "SSLPolicyNotFound", "not found", HTTPS CERTIFICATE "%s&SslPolicy=none", lb, a);
    refused(&w, "InvalidConfigurationRequest", "post-quantum",
            HTTPS CERTIFICATE "%s&SslPolicy=ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09", lb, a);
    refused(&w, "InvalidConfigurationRequest", "FIPS",
            HTTPS CERTIFICATE "%s&SslPolicy=ELBSecurityPolicy-TLS13-1-3-FIPS-2023-04", lb, a);
    refused(&w, "ValidationError", "ALPN", HTTPS CERTIFICATE "%s&AlpnPolicy.member.1=HTTP2Only", lb, a);
    refused(&w, "ValidationError", "A trust store, and what",
            HTTPS CERTIFICATE "%s&MutualAuthentication.Mode=passthrough&MutualAuthentication.TrustStoreArn=x", lb, a);
    refused(&w, "ValidationError", "must be one of", HTTPS CERTIFICATE "%s&MutualAuthentication.Mode=on", lb, a);
    refused(&w, "ValidationError", "A trust store, and what",
            HTTPS CERTIFICATE "%s&MutualAuthentication.Mode=off&MutualAuthentication.TrustStoreArn=x", lb, a);
    refused(&w, "ValidationError", "Mutual authentication can only",
            LISTENER "Type=forward&DefaultActions.member.1.TargetGroupArn=%s&MutualAuthentication.Mode=off", lb, tg_arn(&w));
    refused(&w, "UnsupportedCertificate", "supported key size", HTTPS CERTIFICATE "%s", lb,
            put_certificate(&w, "weak", &(struct cert_wish){.common_name = "weak.example", .rsa_bits = 1024}));
    refused(&w, "UnsupportedCertificate", "fully-qualified", HTTPS CERTIFICATE "%s", lb,
            put_certificate(&w, "nameless", &(struct cert_wish){.organisation = "x"}));
    refused(&w, "ValidationError", "only be specified for HTTPS",
            LISTENER "Type=forward&DefaultActions.member.1.TargetGroupArn=%s" CERTIFICATE "%s", lb, tg_arn(&w), a);
    refused(&w, "ValidationError", "only be specified for HTTPS",
            LISTENER "Type=forward&DefaultActions.member.1.TargetGroupArn=%s&SslPolicy=ELBSecurityPolicy-2016-08", lb,
            tg_arn(&w));
    CHECK(w.core->listeners == NULL);
}

TEST(a_listener_takes_more_certificates)
{
    cleanup(world_done) struct world w;
    const char *arn = prepare_https(&w, "a.example"), *b = put_good(&w, "b.example");
    const char *a = "arn:aws:acm:eu-west-1:000000000000:certificate/a.example";

    works(&w, "Action=AddListenerCertificates&ListenerArn=%s" CERTIFICATE "%s", arn, b);
    CHECK(says(&w, b) && says(&w, "<IsDefault>false</IsDefault>"));
    works(&w, "Action=AddListenerCertificates&ListenerArn=%s" CERTIFICATE "%s", arn, b); /* once more is once */
    works(&w, "Action=DescribeListenerCertificates&ListenerArn=%s", arn);
    CHECK(says(&w, "certificate/a.example</CertificateArn><IsDefault>true</IsDefault>"));
    CHECK(says(&w, "certificate/b.example</CertificateArn><IsDefault>false</IsDefault>"));
    CHECK_EQ(json_size(w.core->listeners->certificates), 2);
    works(&w, "Action=DescribeListenerCertificates&ListenerArn=%s&PageSize=1", arn);
    CHECK(says(&w, "<NextMarker>") && !says(&w, "b.example"));
    works(&w, "Action=DescribeListeners&ListenerArns.member.1=%s", arn);
    CHECK(says(&w, "a.example") && !says(&w, "b.example")); /* the default one only */
    refused(&w, "OperationNotPermitted", "default certificate",
            "Action=RemoveListenerCertificates&ListenerArn=%s" CERTIFICATE "%s", arn, a);
    refused(&w, "CertificateNotFound", "not found", "Action=AddListenerCertificates&ListenerArn=%s" CERTIFICATE "%sx", arn, b);
    /* The default may be one of the others, too; then it goes as those do. */
    works(&w, "Action=AddListenerCertificates&ListenerArn=%s" CERTIFICATE "%s", arn, a);
    works(&w, "Action=DescribeListenerCertificates&ListenerArn=%s&PageSize=1", arn);
    CHECK(says(&w, "a.example</CertificateArn><IsDefault>true</IsDefault>") && says(&w, "<NextMarker>"));
    works(&w, "Action=DescribeListenerCertificates&ListenerArn=%s&PageSize=1&Marker=%s", arn, a); /* the page ends between */
    CHECK(says(&w, "a.example</CertificateArn><IsDefault>false</IsDefault>") && !says(&w, "<Key>"));
    works(&w, "Action=RemoveListenerCertificates&ListenerArn=%s" CERTIFICATE "%s", arn, a);
    works(&w, "Action=RemoveListenerCertificates&ListenerArn=%s" CERTIFICATE "%s", arn, b);
    works(&w, "Action=RemoveListenerCertificates&ListenerArn=%s" CERTIFICATE "%s", arn, b);
    CHECK_EQ(json_size(w.core->listeners->certificates), 1);
    for (int i = 0; i < 25; i++)
        works(&w, "Action=AddListenerCertificates&ListenerArn=%s" CERTIFICATE "%s", arn,
              put_good(&w, arena_format(&test_arena, "n%d.example", i)));
    refused(&w, "TooManyCertificates", "25", "Action=AddListenerCertificates&ListenerArn=%s" CERTIFICATE "%s", arn, b);
    CHECK_EQ(json_size(w.core->listeners->certificates), 26);
    /* They are the load balancer's: another listener's count, too, and its default one does not. */
    works(&w, "Action=CreateListener&LoadBalancerArn=%s&Protocol=HTTPS&Port=8444&DefaultActions.member.1.Type="
              "fixed-response&DefaultActions.member.1.FixedResponseConfig.StatusCode=204" CERTIFICATE "%s", lb_arn(&w), a);
    for (const struct listener *l = w.core->listeners; l != NULL; l = l->next)
        if (strcmp(l->arn, arn) != 0)
            refused(&w, "TooManyCertificates", "25", "Action=AddListenerCertificates&ListenerArn=%s" CERTIFICATE "%s",
                    l->arn, b);
    CHECK(w.core->listeners->next != NULL);
}

TEST(who_serves_no_tls_has_no_certificates)
{
    cleanup(world_done) struct world w;
    prepare(&w);
    const char *a = put_good(&w, "a.example"), *arn;

    works(&w, LISTENER "Type=forward&DefaultActions.member.1.TargetGroupArn=%s", lb_arn(&w), tg_arn(&w));
    arn = w.core->listeners->arn;
    refused(&w, "InvalidConfigurationRequest", "HTTPS", "Action=AddListenerCertificates&ListenerArn=%s" CERTIFICATE "%s", arn, a);
    works(&w, "Action=DescribeListenerCertificates&ListenerArn=%s", arn);
    CHECK(!says(&w, "CertificateArn"));
    refused(&w, "ListenerNotFound", "not found", "Action=DescribeListenerCertificates&ListenerArn=%s0", arn);
}

TEST(a_certificate_in_use_stays)
{
    cleanup(world_done) struct world w;
    const char *arn = prepare_https(&w, "a.example"), *id = "arn:aws:acm:eu-west-1:000000000000:certificate/a.example";
    const char *input = arena_format(&test_arena, "{\"CertificateArn\":\"%s\"}", id);

    CHECK_EQ(world_send(&w, "acm", "application/x-amz-json-1.1", "CertificateManager.DeleteCertificate", input), 400);
    CHECK(says(&w, "ResourceInUseException") && says(&w, "is in use"));
    CHECK_EQ(world_send(&w, "acm", "application/x-amz-json-1.1", "CertificateManager.DescribeCertificate", input), 200);
    CHECK(says(&w, arena_format(&test_arena, "\"InUseBy\":[\"%s\"]", lb_arn(&w))));
    works(&w, "Action=DeleteListener&ListenerArn=%s", arn);
    CHECK_EQ(world_send(&w, "acm", "application/x-amz-json-1.1", "CertificateManager.DeleteCertificate", input), 200);
}

TEST(policies_are_described)
{
    cleanup(world_done) struct world w;
    world_init(&w);

    works(&w, "Action=DescribeSSLPolicies&Names.member.1=ELBSecurityPolicy-TLS13-1-2-Res-2021-06");
    CHECK(says(&w, "<SslProtocols><member>TLSv1.2</member><member>TLSv1.3</member></SslProtocols>"));
    CHECK(says(&w, "<Ciphers><member><Name>TLS_AES_128_GCM_SHA256</Name><Priority>1</Priority></member>"));
    CHECK(says(&w, "<Name>ECDHE-RSA-AES256-GCM-SHA384</Name><Priority>7</Priority></member></Ciphers>"));
    CHECK(says(&w, "<SupportedLoadBalancerTypes><member>application</member></SupportedLoadBalancerTypes>"));
    CHECK(!says(&w, "CBC") && !says(&w, "2016-08"));
    works(&w, "Action=DescribeSSLPolicies&Names.member.1=ELBSecurityPolicy-2016-08");
    CHECK(says(&w, "<member>TLSv1</member><member>TLSv1.1</member><member>TLSv1.2</member></SslProtocols>"));
    CHECK(says(&w, "<Name>AES256-SHA</Name><Priority>18</Priority>"));
    works(&w, "Action=DescribeSSLPolicies&PageSize=3");
    CHECK(says(&w, "<NextMarker>"));
    works(&w, "Action=DescribeSSLPolicies");
    CHECK(says(&w, "ELBSecurityPolicy-FS-1-2-Res-2020-10") && !says(&w, "NextMarker"));
    works(&w, "Action=DescribeSSLPolicies&LoadBalancerType=network");
    CHECK(!says(&w, "ELBSecurityPolicy"));
    refused(&w, "SSLPolicyNotFound", "not found", "Action=DescribeSSLPolicies&Names.member.1=none");
}

TEST(a_header_is_not_renamed_to_one_that_frames_the_message)
{
    cleanup(world_done) struct world w;
    static const char *const bad[] = {"Host", "content-length", "Transfer-Encoding", "TE"};
    const char *arn = prepare_https(&w, "a.example");

    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        refused(&w, "ValidationError", "can not be",
                "Action=ModifyListenerAttributes&ListenerArn=%s&Attributes.member.1.Key="
                "routing.http.request.x_amzn_tls_version.header_name&Attributes.member.1.Value=%s",
                arn, bad[i]);
    works(&w,
          "Action=ModifyListenerAttributes&ListenerArn=%s&Attributes.member.1.Key="
          "routing.http.request.x_amzn_tls_version.header_name&Attributes.member.1.Value=X-Tls",
          arn);
}
