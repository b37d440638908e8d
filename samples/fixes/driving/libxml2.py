"""What the driver does with libxml2."""
import ctypes
import os
import tempfile
from pathlib import Path

SCHEMA = b"""<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
  <xs:complexType name="base"><xs:sequence>
    <xs:element name="a" type="xs:string" maxOccurs="9"/></xs:sequence></xs:complexType>
  <xs:complexType name="child"><xs:complexContent><xs:extension base="base"><xs:sequence>
    <xs:element name="b" type="xs:int" minOccurs="0"/></xs:sequence></xs:extension></xs:complexContent></xs:complexType>
  <xs:element name="root" type="child">
    <xs:key name="key"><xs:selector xpath="a"/><xs:field xpath="."/></xs:key>
    <xs:keyref name="reference" refer="key"><xs:selector xpath="b"/><xs:field xpath="."/></xs:keyref>
  </xs:element>
</xs:schema>"""
DOCUMENT = b"""<?xml version="1.0"?>
<!DOCTYPE root [<!ELEMENT root (a+, b?)><!ELEMENT a (#PCDATA)><!ELEMENT b (#PCDATA)><!ENTITY e "x">
 <!ATTLIST a i ID #IMPLIED><!ENTITY outside PUBLIC "p" "s">]>
<root><a i="one">&e;</a><a>2</a><?pi text?><!-- comment --><b/><b>1</b><![CDATA[text]]></root>"""
INCLUDING = b"""<root xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="%s" parse="text"><xi:fallback/>
</xi:include><xi:include href="none"><xi:fallback><a/></xi:fallback></xi:include></root>"""
SCHEMATRON = b"""<sch:schema xmlns:sch="http://purl.oclc.org/dsdl/schematron"><sch:pattern id="">
 <sch:rule context="boo0"><sch:report test="not(0)"><sch:name path="%s"/></sch:report>
 </sch:rule></sch:pattern></sch:schema>"""
RELAX = b"""<grammar xmlns="http://relaxng.org/ns/structure/1.0">%s</grammar>"""

RELAX_START = b'<start><element name="a"><empty/></element></start>'

ENTITIES, VALIDATE, XINCLUDE = 2, 16, 1024 # XML_PARSE_NOENT, XML_PARSE_DTDVALID, XML_PARSE_XINCLUDE
# Functions that return a pointer.
POINTERS = """xmlReadMemory xmlSchemaNewMemParserCtxt xmlSchemaParse xmlSchemaNewValidCtxt xmlXPathNewContext
 xmlXPathEval xmlReaderForMemory xmlPatterncompile xmlDocGetRootElement xmlBuildQName xmlSchematronNewMemParserCtxt
 xmlSchematronParse xmlSchematronNewValidCtxt xmlRelaxNGNewParserCtxt xmlRelaxNGParse htmlReadMemory xmlCopyDoc
 xmlCatalogResolveURI xmlTextReaderExpand""".split()


def parse(xml, text, options=0):
    return ctypes.c_void_p(xml.xmlReadMemory(text, len(text), b"file.xml", None, options))


def quiet(xml):
    for name in POINTERS:
        getattr(xml, name).restype = ctypes.c_void_p
    silent = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(lambda *_: None)
    xml.xmlSetStructuredErrorFunc(None, silent)
    quiet.kept = silent


def schema(xml):
    """Validate with a key and a reference to it that fails."""
    context = ctypes.c_void_p(xml.xmlSchemaNewMemParserCtxt(SCHEMA, len(SCHEMA)))
    parsed = ctypes.c_void_p(xml.xmlSchemaParse(context))
    valid = ctypes.c_void_p(xml.xmlSchemaNewValidCtxt(parsed))
    text = b"<root><a>1</a><a>1</a><a>2</a><b>3</b></root>"
    document = parse(xml, text)
    status = xml.xmlSchemaValidateDoc(valid, document)
    xml.xmlSchemaFreeValidCtxt(valid)
    xml.xmlSchemaFree(parsed)
    xml.xmlSchemaFreeParserCtxt(context)
    xml.xmlFreeDoc(document)
    return status


def schematron(xml, path="@t"):
    """A report that names a node."""
    text = SCHEMATRON % path.encode()
    context = ctypes.c_void_p(xml.xmlSchematronNewMemParserCtxt(text, len(text)))
    parsed = ctypes.c_void_p(xml.xmlSchematronParse(context))
    valid = ctypes.c_void_p(xml.xmlSchematronNewValidCtxt(parsed, 2))
    document = parse(xml, b"<librar0><boo0 t=''><author/></boo0><ins/></librar0>")
    status = xml.xmlSchematronValidateDoc(valid, document)
    xml.xmlSchematronFreeValidCtxt(valid)
    xml.xmlSchematronFree(parsed)
    xml.xmlSchematronFreeParserCtxt(context)
    xml.xmlFreeDoc(document)
    return status


def relax(xml, depth=2):
    """A grammar that includes a grammar, and so on."""
    with tempfile.TemporaryDirectory() as directory:
        for number in range(depth + 1):
            inner = b'<include href="%d.rng"/>' % (number - 1) if number else RELAX_START
            (Path(directory) / f"{number}.rng").write_bytes(RELAX % inner)
        context = ctypes.c_void_p(xml.xmlRelaxNGNewParserCtxt(f"{directory}/{depth}.rng".encode()))
        parsed = xml.xmlRelaxNGParse(context)
        xml.xmlRelaxNGFree(ctypes.c_void_p(parsed))
        xml.xmlRelaxNGFreeParserCtxt(context)
    return bool(parsed)


def namespace_report(xml):
    """A report that names a namespace, which is gone when the old code looks at its name."""
    quiet(xml)
    return schematron(xml, "&#9;e|namespace::*|e")


def step_pattern(xml):
    """Does the pattern `child::a` match in a stream of none?"""
    quiet(xml)
    return pattern(xml, b"child::a")


def pattern(xml, text=b"root/a"):
    compiled = xml.xmlPatterncompile(text, None, 0, None)
    document = parse(xml, b"<a/>")
    answer = xml.xmlPatternMatch(ctypes.c_void_p(compiled), ctypes.c_void_p(xml.xmlDocGetRootElement(document)))
    xml.xmlFreePattern(ctypes.c_void_p(compiled))
    xml.xmlFreeDoc(document)
    return answer


def long_names(xml):
    """An invalid document whose elements have a prefix and a name of nearly 5000 bytes together."""
    quiet(xml)
    messages = []

    class Error(ctypes.Structure):
        _fields_ = [("domain", ctypes.c_int), ("code", ctypes.c_int), ("message", ctypes.c_char_p)]
    collect = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(Error))(
        lambda _, error: messages.append(error.contents.message or b""))
    xml.xmlSetStructuredErrorFunc(None, collect)
    name = b"p" * 2450 + b":" + b"n" * 2540
    text = (b"<!DOCTYPE r [<!ELEMENT r (a)>]><r xmlns:" + b"p" * 2450 + b"='u'><" + name + b"/></r>")
    xml.xmlFreeDoc(parse(xml, text, VALIDATE))
    return max((len(message) for message in messages), default=0)


def reader(xml, text):
    """Read with XInclude and validation, expanding each node."""
    handle = ctypes.c_void_p(xml.xmlReaderForMemory(text, len(text), b"file.xml", None, ENTITIES | VALIDATE | XINCLUDE))
    while xml.xmlTextReaderRead(handle) == 1:
        xml.xmlTextReaderExpand(handle)
    xml.xmlFreeTextReader(handle)


def catalog(xml):
    """A catalog that leads to itself."""
    with tempfile.NamedTemporaryFile(suffix=".xml") as file:
        file.write(b'<catalog xmlns="urn:oasis:names:tc:entity:xmlns:xml:catalog"><nextCatalog catalog="%s"/></catalog>'
                   % os.path.basename(file.name).encode())
        file.flush()
        xml.xmlLoadCatalog(file.name.encode())
        xml.xmlCatalogResolveURI(b"http://nowhere.example/")
        xml.xmlCatalogCleanup()


def work(xml):
    """Parse, validate, include, copy, query and read."""
    quiet(xml)
    document = parse(xml, DOCUMENT, ENTITIES | VALIDATE)
    xml.xmlFreeDoc(ctypes.c_void_p(xml.xmlCopyDoc(document, 1)))
    context = ctypes.c_void_p(xml.xmlXPathNewContext(document))
    result = xml.xmlXPathEval(b"//a[position() = 1] | //b[string(.) = concat('', '1')]", context)
    xml.xmlXPathFreeObject(ctypes.c_void_p(result))
    xml.xmlXPathFreeContext(context)
    xml.xmlFreeDoc(document)
    including = parse(xml, INCLUDING % b"/dev/null", ENTITIES)
    xml.xmlXIncludeProcess(including)
    xml.xmlFreeDoc(including)
    reader(xml, INCLUDING % b"/dev/null")
    reader(xml, DOCUMENT)
    html = b"<html><body><p class='x'>text</p></body></html>"
    xml.xmlFreeDoc(ctypes.c_void_p(xml.htmlReadMemory(html, len(html), b"f", None, 0)))
    room = ctypes.create_string_buffer(50)
    xml.xmlBuildQName(b"name", b"prefix", room, 50)
    return [schema(xml), schematron(xml), relax(xml), pattern(xml)]
