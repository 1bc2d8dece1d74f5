"""Mail: attachments become placeholders on their way out, and placeholders become messages again on their way in."""
