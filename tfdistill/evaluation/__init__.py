"""Fresh students on distilled data: how good is it?"""
