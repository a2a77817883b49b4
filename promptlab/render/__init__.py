"""Objects as text and HTML: functions of plain values."""
