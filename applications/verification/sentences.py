"""What is said about each finding, to the student: what is wrong and the way out."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from applications.verification.inspection.findings import Finding

_NEW_PDF = _("Open it, print it to a new PDF file, and send that.")
_TOO_COMPLEX = _("Save it anew with fewer or smaller contents, or send a scan.")

# By the code of the check and its finding. The names in %(…)s are the finding's values.
_SENTENCES = {
    ("not_empty", "good"): _("The file is not empty."),
    ("not_empty", "empty"): _("The file is empty. Pick the document again and send that."),
    ("size", "good"): _("The file is not too large."),
    ("size", "too_large"): _(
        "The file is larger than %(limit)s MiB. Save it in a smaller size, or with fewer pages."
    ),
    ("type", "good"): _("The file is what its name says."),
    ("type", "unsupported"): _(
        "The file is not a PDF, JPEG or PNG, whatever its name says. Save it as one of these."
    ),
    ("type", "mismatch"): _(
        "The name or type of the file does not fit its content. Save the document as a PDF, "
        "JPEG or PNG file and send that."
    ),
    ("malware", "clean"): _("No malware was found."),
    ("malware", "infected"): _(
        "The file contains malware, so we did not open it. Check your computer, then send a "
        "clean copy of the document."
    ),
    ("malware", "limits_exceeded"): _(
        "The file could not be searched for malware as a whole. A member of staff will look at it."
    ),
    ("malware", "not_configured"): _("The file was not searched for malware."),
    ("not_duplicate", "good"): _("No other file of your application is the same."),
    ("not_duplicate", "duplicate"): _(
        "This file is the same as %(name)s. Send the document that you meant to send."
    ),
    ("too_complex", "pixels"): _(
        "An image has far more pixels than a photo or scan. Save it in a smaller size."
    ),
    ("too_complex", "unpacks"): _("The file unpacks to far more than its size. %(way_out)s"),
    ("too_complex", "nested"): _("The parts of the file are nested too deeply. %(way_out)s"),
    ("too_complex", "objects"): _("The file is made of too many parts. %(way_out)s"),
    ("too_complex", "limits"): _("Opening the file takes too much time or memory. %(way_out)s"),
    ("not_encrypted", "open"): _("The PDF opens without a password."),
    ("not_encrypted", "password"): _(
        "The PDF is protected with a password. Save it without one and send it again."
    ),
    ("not_damaged", "pdf_sound"): _("Every page of the PDF can be opened."),
    ("not_damaged", "pdf_damaged"): _(
        "The PDF is damaged. Create it anew or scan the document again."
    ),
    ("not_damaged", "image_sound"): _("The whole image can be read."),
    ("not_damaged", "image_damaged"): _("The image is damaged. Take or scan it again."),
    ("page_count", "good"): _("Pages: %(pages)s."),
    ("page_count", "no_pages"): _("The PDF has no pages. Create it anew and send it again."),
    ("page_count", "too_many"): _(
        "The PDF has %(pages)s pages; at most %(limit)s are accepted. Leave out what is not needed."
    ),
    ("no_active_content", "none"): _("The PDF does nothing by itself."),
    ("no_active_content", "javascript"): _("The PDF contains a program (JavaScript). %(new_pdf)s"),
    ("no_active_content", "launch"): _("The PDF starts another program. %(new_pdf)s"),
    ("no_active_content", "embedded_file"): _("The PDF has other files inside. %(new_pdf)s"),
    ("no_active_content", "media"): _("The PDF plays sound, film or 3D models. %(new_pdf)s"),
    ("no_active_content", "form"): _("The PDF is a form with a program (XFA). %(new_pdf)s"),
    ("no_active_content", "automatic"): _("The PDF does something when it is opened. %(new_pdf)s"),
    ("no_active_content", "unreadable"): _(
        "How the PDF is made can't be read, so we don't know whether it does something by itself. A "
        "member of staff will look at it."
    ),
    ("dimensions", "good"): _("The image has %(width)s × %(height)s pixels."),
    ("dimensions", "too_many_pixels"): _(
        "The image has more than %(limit)s megapixels. Save it in a smaller size."
    ),
    ("legible", "text"): _("The text can be read."),
    ("legible", "scan"): _("The scanned text can be read."),
    ("legible", "part_of_scan"): _(
        "We read %(read)s of %(scans)s scanned pages, and their text can be read. The others were "
        "not checked."
    ),
    ("legible", "hard_to_read"): _(
        "The scanned text is hard to read. A member of staff will look at it; you can also send "
        "a sharper scan."
    ),
    ("legible", "no_reader"): _(
        "There are scanned pages. We can't read scans here, so this was not checked."
    ),
    ("legible", "no_time"): _("There was no time to read the scanned pages."),
    ("legible", "reader_failed"): _(
        "There are scanned pages. Our program could not read them, so this was not checked."
    ),
    ("checked", "gave_up"): _(
        "We could not check the document by ourselves. A member of our staff looks at it."
    ),
}
_IMPOSSIBLE = _("This was not checked, because of what another check found.")


def sentence(finding: Finding) -> str:
    """Return the sentence for a finding; `KeyError` if there is none."""
    if finding.finding == "impossible":
        return str(_IMPOSSIBLE)
    values = {**finding.values, "new_pdf": _NEW_PDF, "way_out": _TOO_COMPLEX}
    return str(_SENTENCES[finding.code, finding.finding] % values)
