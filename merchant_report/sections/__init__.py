"""What each part of the page says: a function each, from the marts to a `merchant_report.content.Section`."""
