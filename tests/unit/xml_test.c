/* xml_test.c - the text of an element, and what is refused. */
#include "codec/xml.h"

#include "unit/test.h"

static void gives(const char *document, const char *want)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(64);

    test_context("%s", document);
    CHECK_OK(xml_text(str_from_c(document), STR("Key"), &b));
    CHECK_STR(buf_str(&b), want);
    test_context("%s", "");
}

static void refuses(const char *document, err_t why)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(64);

    test_context("%s", document);
    CHECK_OK(buf_add_lit(&b, "before"));
    CHECK_ERR(xml_text(str_from_c(document), STR("Key"), &b), why);
    CHECK_STR(buf_str(&b), "before");
    test_context("%s", "");
}

TEST(xml_text_of_the_first_element_of_the_name)
{
    gives("<Key>a</Key>", "a");
    gives("<?xml version=\"1.0\"?><A><B>no</B><Key>a</Key><Key>b</Key></A>", "a");
    gives("<A><C><Key>deep</Key></C></A>", "deep");
    gives("<Keys>no</Keys><KeyX/><Key>a</Key>", "a");
    gives("<x:Key xmlns:x='u'>a</x:Key>", "a");
    gives("<Key >a</Key >", "a");
    gives("<Key></Key>", "");
    gives("<Key/>", "");
    gives("<Key a='>'/>", "");
    gives("<A b=\"<Key>no</Key>\"><Key c='d>'>a</Key></A>", "a");
}

TEST(xml_text_is_decoded_and_trimmed)
{
    gives("<Key>\r\n\t a b \n</Key>", "a b");
    gives("<Key> \n </Key>", "");
    gives("<Key>&lt;&gt;&amp;&quot;&apos;&#65;&#x42;</Key>", "<>&\"'AB");
    gives("<Key>&amp;lt;</Key>", "&lt;");
    gives("<Key>a<![CDATA[<&amp;>]]>b</Key>", "a<&amp;>b");
    gives("<Key>a<!-- <b> -->c<?p <d> ?>e</Key>", "ace");
    gives("<!-- <Key>no</Key> --><![CDATA[<Key>no</Key>]]><Key>a</Key>", "a");
}

TEST(xml_that_lacks_the_element_is_told_apart)
{
    refuses("", E_NOT_FOUND);
    refuses("no markup", E_NOT_FOUND);
    refuses("<A>a</A>", E_NOT_FOUND);
    refuses("</Key>", E_NOT_FOUND);
}

TEST(xml_that_cannot_be_read_is_refused)
{
    static const char *const bad[] = {"<Key>a",
                                      "<Key>a</Key",
                                      "<Key",
                                      "<Key>a<b>c</b></Key>",
                                      "<Key>a</B>",
                                      "<Key>a<Key/></Key>",
                                      "<Key>&nbsp;</Key>",
                                      "<Key>&#233;</Key>",
                                      "<Key>&#0;</Key>",
                                      "<Key>&#x;</Key>",
                                      "<Key>&lt</Key>",
                                      "<Key>&</Key>",
                                      "<!DOCTYPE x [<!ENTITY e 'v'>]><Key>a</Key>",
                                      "<!-- <Key>a</Key>",
                                      "<![CDATA[<Key>a</Key>",
                                      "<?x <Key>a</Key>",
                                      "<Key>a<![CDATA[b</Key>",
                                      "<><Key>a</Key>",
                                      "<!DOCTYPE x><Key>a</Key>",
                                      "<A b='><Key>a</Key>",
                                      "<A <Key>a</Key>",
                                      "<Key>&;</Key>"};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        refuses(bad[i], E_PARSE);
}

TEST(xml_text_longer_than_the_buf_is_refused)
{
    struct buf b CLEANUP(buf_release) = BUF_INIT(3);

    CHECK_ERR(xml_text(STR("<Key>abcd</Key>"), STR("Key"), &b), E_TOO_LARGE);
    CHECK_EQ(b.n, 0);
}
