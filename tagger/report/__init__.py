"""What people look at: explained pictures and pages."""
